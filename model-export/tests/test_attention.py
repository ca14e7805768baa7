"""The weights of a layer's self-attention against transformers."""

import shutil

import pytest
import torch
from conftest import Pack
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModel

from lakegen_export.export import Request, export
from lakegen_export.families.attention import PictureAttention


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("engine", ["PyTorch", "OnnxRuntime"])
def test_other_shapes_than_traced_equal_the_model(exported, name, engine):
    pack = exported(name, attention_layer=1, engine=engine)
    model = AutoModel.from_pretrained(pack.source, dtype=torch.float32, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([9, 3, 17, 1])
    ids = torch.randint(4, 320, (4, 17), generator=generator)
    mask = (torch.arange(17) < lengths[:, None]).long()
    with torch.no_grad():
        hidden, weights = pack.graphs["attention"](input_ids=ids, attention_mask=mask)
        for row, length in enumerate(lengths.tolist()):
            found = model(input_ids=ids[row : row + 1, :length], output_attentions=True)
            expected = found.attentions[1][0].mean(0)
            torch.testing.assert_close(weights[row, :length, :length], expected, rtol=0, atol=1e-5)
            assert not weights[row, length:].any()
            assert not weights[row, :, length:].any()
            torch.testing.assert_close(weights[row, :length].sum(-1), torch.ones(length), rtol=0, atol=1e-5)
            torch.testing.assert_close(hidden[row, :length], found.last_hidden_state[0], rtol=0, atol=1e-4)


def _pictures(model, pixels):
    """What transformers gives of each picture alone: vector and weights of the second layer."""
    see = getattr(model, "get_image_features", model)
    for picture in pixels:
        found = see(pixel_values=picture[None], output_attentions=True)
        yield found.pooler_output[0], found.attentions[1][0].mean(0)


PICTURE_ENCODERS = {
    "dinov2": ("image-feature-extraction", 1),
    "dinov2-with-registers": ("image-feature-extraction", 4),
    "clip": ("zero-shot-image-classification", 1),
    "siglip": ("zero-shot-image-classification", 0),
}
"""With the task of the pack, and the tokens before the patches."""


@pytest.mark.parametrize("name", PICTURE_ENCODERS)
def test_other_numbers_of_pictures_than_traced_equal_the_model(exported, name):
    pack = exported(name, attention_layer=1)
    task, before = PICTURE_ENCODERS[name]
    tokens = before + 16
    assert pack.spec["tasks"][task]["attention"] == {"layer": 1, "tokens": tokens, "height": 4, "width": 4}
    model = AutoModel.from_pretrained(pack.source, dtype=torch.float32, attn_implementation="eager").eval()
    pixels = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for batch in (pixels, pixels[:1]):
            vectors, weights = pack.graphs["attention"](pixels=batch)
            assert weights.shape == (len(batch), tokens, tokens)
            torch.testing.assert_close(weights.sum(-1), torch.ones(len(batch), tokens), rtol=0, atol=1e-5)
            plain = pack.graphs["image" if "image" in pack.graphs else "model"](pixels=batch)[0]
            torch.testing.assert_close(vectors, plain, rtol=0, atol=1e-5)
            expected = _pictures(model, batch)
            for row, (vector, of_layer) in enumerate(expected):
                torch.testing.assert_close(weights[row], of_layer, rtol=0, atol=1e-5)
                if task == "zero-shot-image-classification":
                    vector = torch.nn.functional.normalize(vector, dim=0)
                torch.testing.assert_close(vectors[row], vector, rtol=0, atol=1e-5)
    assert not torch.allclose(weights[0], weights[0].mean(), atol=1e-3)


@pytest.mark.parametrize("name", PICTURE_ENCODERS)
def test_the_last_tokens_are_the_patches_row_by_row(exported, source, name, tmp_path):
    # Without positions all patches of a plain picture are alike, but for one of another colour.
    folder = tmp_path / "model"
    shutil.copytree(source(name), folder)
    weights = load_file(folder / "model.safetensors")
    for key in [key for key in weights if "position_embed" in key]:
        weights[key] = torch.zeros_like(weights[key])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    if name.startswith("dinov2"):  # the others take squares only
        size = {"height": 32, "width": 48}
        AutoImageProcessor.from_pretrained(folder, size={"shortest_edge": 48}, crop_size=size).save_pretrained(folder)
    export(Request(str(folder), tmp_path / "pack", attention_layer=0))
    pack = Pack(tmp_path / "pack", folder, [])
    (section,) = pack.spec["tasks"].values()
    shown = section["attention"]
    height, width = shown["height"], shown["width"]
    assert (height, width) == ((4, 6) if name.startswith("dinov2") else (4, 4))
    # A query of zeros, of a black picture through layers without bias, would tell no key from another.
    pixels = torch.full((1, 3, 8 * height, 8 * width), 0.5)
    pixels[:, 0, 8:16, 16:24] = -1.0
    with torch.no_grad():
        columns = pack.graphs["attention"](pixels=pixels)[1][0, :, -height * width :]
    (plain,) = columns[0].round(decimals=5).mode(0)[:1]
    odd = ((columns[0] - plain).abs() > 1e-4).nonzero().flatten().tolist()
    assert odd == [width + 2]


@pytest.mark.parametrize("layer", [-1, 2])
@pytest.mark.parametrize("name", ["bert", "dinov2", "clip"])
def test_a_layer_that_there_is_not_is_refused(source, name, layer, tmp_path):
    with pytest.raises(ValueError, match=rf"attention_layer: {layer} \(expected: 0 to 1\)"):
        export(Request(str(source(name)), tmp_path / "pack", attention_layer=layer))
    assert not (tmp_path / "pack").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("convnext-classes", "none, ConvNextModel gives no attention weights"),
        ("resnet-classes", "none, ResNetModel gives no attention weights"),
        ("swin-classes", "none, SwinModel has no attention between all patches of a picture"),
    ],
)
def test_models_without_attention_over_the_picture_are_refused(source, name, why):
    model = AutoModel.from_pretrained(source(name))
    patch = getattr(model.config, "patch_size", 1)
    with pytest.raises(ValueError, match=rf"attention_layer: 0 \(expected: {why}\)"):
        PictureAttention.of(model, lambda m, **inputs: m(**inputs), 0, (32, 32), patch)
