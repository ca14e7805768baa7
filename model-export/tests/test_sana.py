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
    (decoded,) = pack.graphs["vae_decoder"](latents=latents)
    torch.testing.assert_close(decoded, expected, rtol=0, atol=1e-4)


def _changed(folder, **changes):
    """A tiny Sana whose transformer differs, and its folder."""
    pipeline = tiny.sana(1, tiny.gemma_tokenizer())
    torch.manual_seed(2)
    pipeline.transformer = SanaTransformer2DModel.from_config(pipeline.transformer.config, **changes).eval()
    return pipeline, tiny.save(pipeline, folder)


def test_positions_of_patches_are_those_of_the_size_at_hand(tmp_path):
    """Models for 2,048 pixels and more know them; at the size of the training they are stored."""
    pipeline, folder = _changed(tmp_path / "model", interpolation_scale=2)
    export(Request(str(folder), tmp_path / "pack"), lambda _: None)
    unet = torch.jit.load(str(tmp_path / "pack" / "unet.pt"))
    transformer = pipeline.transformer
    assert transformer.patch_embed.pos_embed is not None
    hidden, mask, times = torch.randn(3, 5, 8), torch.ones(3, 5), torch.tensor([900.0, 300.0, 10.0])
    for size in ((transformer.config.sample_size,) * 2, (6, 10)):
        latents = torch.randn(3, 4, *size)
        with torch.no_grad():
            expected = transformer(latents, hidden, times, encoder_attention_mask=mask).sample
            torch.testing.assert_close(unet(latents, times, hidden, mask), expected, rtol=0, atol=1e-5)


def test_a_transformer_that_is_told_the_guidance_is_refused(tmp_path):
    _, folder = _changed(tmp_path / "model", guidance_embeds=True)
    with pytest.raises(ValueError, match=r"transformer: guidance_embeds True \(expected: false; "):
        export(Request(str(folder), tmp_path / "pack"), lambda _: None)
