"""The preprocess graph against the image processors, on pictures as PIL decodes them."""

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

from fixtures import tiny
from lakegen_export import graphs, image
from lakegen_export.pack import load

PROCESSORS = {
    "clip-crop": lambda: hf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
    "clip-inner-crop": lambda: hf.CLIPImageProcessorPil(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 36}
    ),
    "clip-full-size": hf.CLIPImageProcessorPil,
    "blip": lambda: hf.BlipImageProcessorPil(size={"height": 48, "width": 40}),
    "vit-bilinear": lambda: hf.ViTImageProcessorPil(size={"height": 32, "width": 32}),
    "vit-nearest": lambda: hf.ViTImageProcessorPil(size={"height": 32, "width": 24}, resample=0),
    "deit-crop": tiny.deit_processor,
    "convnext-margin": tiny.convnext_processor,
    "convnext-square": lambda: hf.ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    "efficientnet": tiny.efficientnet_processor,
    "efficientnet-offset": lambda: hf.EfficientNetImageProcessorPil(
        size={"height": 32, "width": 32}, rescale_offset=True, include_top=False, rescale_factor=1 / 127.5
    ),
    "plain": lambda: hf.ViTImageProcessorPil(size={"height": 20, "width": 20}, do_normalize=False),
}


def picture(mode: str, width: int, height: int) -> Image.Image:
    random = np.random.default_rng(width * 1000 + height)
    small = random.integers(40, 216, (max(1, height // 6), max(1, width // 6), 4), dtype=np.uint8)
    return Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture(scope="module", params=PROCESSORS, ids=str)
def pair(request, tmp_path_factory):
    processor = PROCESSORS[request.param]()
    path = tmp_path_factory.mktemp("preprocess") / "preprocess.pt"
    graphs.save(torch.jit.script(image.Preprocess(processor)), path)
    return load(path, ["image"]), processor


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("size", [(64, 48), (33, 57), (101, 77), (1, 40), (37, 1), (1, 1), (300, 11)], ids=str)
def test_equals_the_image_processor(pair, mode, size):
    graph, processor = pair
    decoded = np.array(picture(mode, *size).convert("RGB"))
    largest, mean = image.difference(graph, processor, decoded)
    assert largest <= image.MAX_LEVELS
    assert mean <= image.MEAN_LEVELS
    expected = image.manifest(processor)
    assert list(graph(image=torch.from_numpy(decoded))[0].shape) == [3, expected["height"], expected["width"]]


def test_hard_edges_agree_on_average(pair):
    graph, processor = pair
    random = np.random.default_rng(0)
    for width, height in [(64, 48), (200, 120)]:
        noise = 255 * random.integers(0, 2, (height, width, 3), dtype=np.uint8)
        assert image.difference(graph, processor, noise)[1] <= 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resample": 1}, r"resample: 1 \(expected: 0, nearest, 2, bilinear, or 3, bicubic\)"),
        ({"size": {"shortest_edge": 32, "longest_edge": 64}}, "expected: height and width, or shortest_edge"),
        ({"do_resize": False}, "expected: height and width, or shortest_edge"),
        ({"size": {"shortest_edge": 16}, "crop_size": {"height": 32, "width": 32}}, "a crop within shortest_edge"),
        ({"size": {"shortest_edge": 16}, "do_center_crop": False}, "a crop within shortest_edge"),
    ],
)
def test_refuses_what_it_cannot_do(options, message):
    with pytest.raises(ValueError, match=message):
        image.Preprocess(hf.CLIPImageProcessorPil(**options))
