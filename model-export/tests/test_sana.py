"""Sana: a transformer trained by flow matching, with Gemma 2 and a deep autoencoder."""

import pytest
import torch
from diffusers import AutoencoderDC, SanaTransformer2DModel

from fixtures import tiny
from lakegen_export.export import Request, export


def test_texts_are_lower_case_and_stripped_and_have_300_tokens(exported):
    pack = exported("sana")
    assert pack.spec["tokenizer"] == {"file": "tokenizer.json", "maxLength": 300}
    golden = {entry["text"]: entry["ids"] for entry in pack.golden["tokenizer"]}
    plain = tiny.gemma_tokenizer()
    assert any(text != text.lower() for text in golden)
    for text, ids in golden.items():
        assert ids == plain(text.lower().strip(), truncation=True, max_length=300)["input_ids"]


def test_padding_does_not_change_what_a_text_is_read_as(exported):
    pack = exported("sana")
    ids = torch.tensor([[1, 40, 41, 42, 43]])
    hidden, mask = pack.graphs["text_encoder"](input_ids=ids)
    longer, wider = pack.graphs["text_encoder"](input_ids=torch.nn.functional.pad(ids, (0, 30)))
    torch.testing.assert_close(longer[:, :5], hidden, rtol=0, atol=1e-5)
    assert mask.tolist() == [[1] * 5]
    assert wider.tolist() == [[1] * 5 + [0] * 30]


def test_one_decoder_serves_latents_that_the_autoencoder_attends_to_by_another_formula(exported):
    pack = exported("sana")
    reference = AutoencoderDC.from_pretrained(pack.source, subfolder="vae")
    latents = torch.randn((2, 4, 1, 2), generator=torch.Generator().manual_seed(0))
    assert latents[0, 0].numel() < reference.config.attention_head_dim
    with torch.no_grad():
        expected = reference.decode(latents).sample
    torch.testing.assert_close(pack.graphs["vae_decoder"](latents=latents), expected, rtol=0, atol=1e-4)


def test_a_transformer_with_other_inputs_is_refused(tmp_path):
    pipeline = tiny.sana(1, tiny.gemma_tokenizer())
    for changes in ({"guidance_embeds": True}, {"interpolation_scale": 1}):
        config = {**pipeline.transformer.config, **changes}
        pipeline.transformer = SanaTransformer2DModel.from_config(config)
        folder = tiny.save(pipeline, tmp_path / next(iter(changes)))
        with pytest.raises(ValueError, match=r"transformer: guidance_embeds .* \(expected: neither; "):
            export(Request(str(folder), tmp_path / "pack"))
