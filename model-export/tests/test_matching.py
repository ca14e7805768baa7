"""Image-text matching against transformers, heat maps and their operators against autograd."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from transformers import BlipForImageTextRetrieval

from lakegen_export.export import Request, export
from lakegen_export.families import gradients
from lakegen_export.families.matching import heat_maps

LAYERS = 4


def inputs(rows: int, length: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels, token ids and a mask whose rows are of unequal length."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 320, (rows, length), generator=generator)
    lengths = torch.tensor([max(1, length - 3 * row) for row in range(rows)])
    mask = (torch.arange(length) < lengths[:, None]).long()
    return torch.randn(rows, 3, 32, 32, generator=generator), ids, mask


def run(pack, role: str, pixels, ids, mask) -> list[torch.Tensor]:
    with torch.no_grad():
        hidden, feature = pack.graphs["encoder"](pixels=pixels)
        return pack.graphs[role](input_ids=ids, attention_mask=mask, hidden=hidden, feature=feature)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_other_shapes_than_traced_equal_the_model_and_its_gradient(exported, layer):
    pack = exported("blip-matching", heat_map_layer=layer)
    model = BlipForImageTextRetrieval.from_pretrained(pack.source, dtype=torch.float32).eval()
    for seed, (rows, length) in enumerate([(5, 17), (1, 4), (3, 40), (1, 1)]):
        pixels, ids, mask = inputs(rows, length, seed)
        itm, itc, relative, largest = run(pack, "heat_map", pixels, ids, mask)
        maps = relative * largest[:, None, None]
        for row in range(rows):
            tokens = int(mask[row].sum())
            one = {"pixel_values": pixels[row : row + 1], "input_ids": ids[row : row + 1, :tokens]}
            ones = torch.ones(1, tokens, dtype=torch.int64)
            with torch.no_grad():
                torch.testing.assert_close(itm[row], model(**one).itm_score[0], rtol=0, atol=2e-5)
                cosine = model(**one, use_itm_head=False).itm_score[0, 0]
            torch.testing.assert_close(itc[row], cosine, rtol=0, atol=1e-5)
            expected = heat_maps(model, layer, one["pixel_values"], one["input_ids"], ones)[0]
            tolerance = 1e-4 * expected.max().item()
            torch.testing.assert_close(maps[row, :tokens], expected, rtol=0, atol=tolerance)
            assert not maps[row, tokens:].any()
        plain = run(pack, "match", pixels, ids, mask)
        torch.testing.assert_close(plain, [itm, itc], rtol=0, atol=2e-5)


def test_maps_are_relative_to_the_largest_of_each_row(exported):
    _, _, relative, largest = run(exported("blip-matching", heat_map_layer=1), "heat_map", *inputs(4, 12, 1))
    assert torch.equal(relative.amax((1, 2)), torch.ones(4))
    assert largest.min() > 0
    assert relative.min() == 0


def test_the_section_says_how_maps_lie(exported):
    assert exported("blip-matching").spec["tasks"] == {"image-text-matching": {"imageTokens": 17}}
    pack = exported("blip-matching", heat_map_layer=1)
    assert pack.spec["tasks"] == {
        "image-text-matching": {"imageTokens": 17, "heatMap": {"layer": 1, "height": 4, "width": 4}}
    }
    assert list(pack.spec["graphs"]) == ["encoder", "match", "heat_map", "preprocess"]
    assert list(exported("blip-matching").spec["graphs"]) == ["encoder", "match", "preprocess"]


@pytest.mark.parametrize(
    ("name", "config", "layer", "message"),
    [
        ("blip-matching", {}, 4, r"heat_map_layer: 4 \(expected: 0 to 3\)"),
        ("blip-matching", {"hidden_act": "gelu_new"}, 1, r"hidden_act: gelu_new \(expected: gelu, or no heat maps"),
        ("blip", {}, 1, r"weights: itm_head.bias.* \(expected: a model trained to match pictures and texts\)"),
    ],
)
def test_what_has_no_heat_map_is_refused(source, tmp_path, name, config, layer, message):
    folder = tmp_path / "model"
    shutil.copytree(source(name), folder)
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found["text_config"] |= config
    (folder / "config.json").write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        export(Request(str(folder), tmp_path / "pack", task="image-text-matching", heat_map_layer=layer))
    assert not (tmp_path / "pack").exists()


def test_another_activation_still_gives_scores(source, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(source("blip-matching"), folder)
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found["text_config"]["hidden_act"] = "gelu_new"
    (folder / "config.json").write_text(json.dumps(found), encoding="utf-8")
    export(Request(str(folder), tmp_path / "pack"), lambda line: None)


WIDTH, HEADS = 12, 3


def block(generator: torch.Generator, source_width: int = WIDTH):
    """An attention block of transformers' shape, in double precision."""
    own = SimpleNamespace(num_attention_heads=HEADS, attention_head_size=WIDTH // HEADS)
    own.query = torch.nn.Linear(WIDTH, WIDTH).double()
    own.key, own.value = (torch.nn.Linear(source_width, WIDTH).double() for _ in range(2))
    return SimpleNamespace(self=own, output=end(WIDTH, generator))


def end(width: int, generator: torch.Generator):
    norm = torch.nn.LayerNorm(WIDTH).double()
    with torch.no_grad():
        norm.weight.copy_(torch.rand(WIDTH, generator=generator) + 0.5)
        norm.bias.copy_(torch.rand(WIDTH, generator=generator))
    return SimpleNamespace(dense=torch.nn.Linear(width, WIDTH).double(), LayerNorm=norm)


def operators(generator: torch.Generator) -> dict:
    torch.manual_seed(3)
    mask = torch.zeros(2, 1, 1, 5, dtype=torch.float64)
    mask[1, ..., 3:] = torch.finfo(torch.float64).min
    source = torch.randn(2, 7, 8, dtype=torch.float64, generator=generator)
    own, cross = block(generator), block(generator, 8)
    layer = SimpleNamespace(
        intermediate=SimpleNamespace(dense=torch.nn.Linear(WIDTH, 20).double()), output=end(20, generator)
    )
    return {
        "layer_norm": lambda hidden: gradients.layer_norm(layer.output.LayerNorm, hidden),
        "gelu": gradients.gelu,
        "feed_forward": lambda hidden: gradients.feed_forward(layer, hidden),
        "self_attention": lambda hidden: gradients.attention(own, hidden, mask=mask),
        "cross_attention": lambda hidden: gradients.attention(cross, hidden, source=source),
    }


@pytest.mark.parametrize("name", operators(torch.Generator()))
def test_backward_passes_equal_autograd(name):
    generator = torch.Generator().manual_seed(1)
    operator = operators(generator)[name]
    hidden = torch.randn(2, 5, WIDTH, dtype=torch.float64, generator=generator, requires_grad=True)
    gradient = torch.randn(2, 5, WIDTH, dtype=torch.float64, generator=generator)
    value, back = operator(hidden)
    (expected,) = torch.autograd.grad(value, hidden, gradient)
    with torch.no_grad():
        torch.testing.assert_close(back(gradient), expected, rtol=1e-10, atol=1e-12)
