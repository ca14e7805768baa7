"""The `preprocess` graph: what a model's image processor does, on a uint8 picture of any size."""

import numpy as np
import torch
from PIL import Image

from . import golden
from .golden import Step

# Largest and mean difference from PIL in levels of 0..255: the torch operator rounds its weights more coarsely. It
# always resizes columns before rows, PIL sometimes rows first. That shows only where the first pass overshoots 0..255
# and is cut, at pixels of the hardest edges, so the pictures compared here keep clear of both ends.
MAX_LEVELS = 3.0
MEAN_LEVELS = 0.25

_NEAREST, _BILINEAR, _BICUBIC = 0, 2, 3


def _convnext(processor) -> tuple[dict, dict | None]:
    """What the processor of ConvNeXT and ResNet does in place of its `size`: a margin that it cuts off, or no crop."""
    shortest = int(processor.size["shortest_edge"])
    square = {"height": shortest, "width": shortest}
    return ({"shortest_edge": int(shortest / processor.crop_pct)}, square) if shortest < 384 else (square, None)


def _steps(count: int, size: int) -> torch.Tensor:
    """PIL adds steps up, and what they round to on the way decides at a pixel's edge."""
    # A script would round a number that is assigned to an element to float32.
    first = torch.full([1], 0.5 * (size / count), dtype=torch.float64)
    steps = torch.cat([first, torch.full([count - 1], size / count, dtype=torch.float64)])
    return steps.cumsum(0).to(torch.int64).clamp(max=size - 1)


def nearest(picture: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """[1, 3, H, W] -> [1, 3, h, w]: the pixel in the middle of what each new one covers, as PIL's `NEAREST`."""
    rows, columns = _steps(height, picture.size(2)), _steps(width, picture.size(3))
    rows, columns = rows.to(picture.device), columns.to(picture.device)
    return picture.index_select(2, rows).index_select(3, columns)


class Preprocess(torch.nn.Module):
    """uint8 [H, W, 3] (RGB) -> float32 [3, h, w], resized, cropped and normalised.

    The resize operators are called themselves: a scripted `interpolate` of a new torch names operators that DJL's
    libtorch 2.7 lacks.
    """

    def __init__(self, processor):
        super().__init__()
        size, crop = processor.size, processor.crop_size if processor.do_center_crop else None
        if getattr(processor, "crop_pct", None) is not None:
            size, crop = _convnext(processor)
        self.shortest = int(size.get("shortest_edge") or 0)
        self.height = int(size.get("height") or self.shortest)
        self.width = int(size.get("width") or self.shortest)
        if not processor.do_resize or size.get("longest_edge") or not self.height:
            raise ValueError(f"image size: {size} (expected: height and width, or shortest_edge)")
        if self.shortest and (crop is None or crop["height"] > self.shortest or crop["width"] > self.shortest):
            raise ValueError(f"crop_size: {crop} (expected: a crop within shortest_edge, for pictures of one size)")
        if crop is not None and (crop["height"] > self.height or crop["width"] > self.width):
            raise ValueError(f"crop_size: {crop} (expected: a crop within the resized size, or none)")
        self.resample = int(processor.resample)
        if self.resample not in (_NEAREST, _BILINEAR, _BICUBIC):
            raise ValueError(f"resample: {self.resample} (expected: 0, nearest, 2, bilinear, or 3, bicubic)")
        self.crop_height = int(crop["height"]) if crop is not None else self.height
        self.crop_width = int(crop["width"]) if crop is not None else self.width
        self.factor = float(processor.rescale_factor) if processor.do_rescale else 1.0
        mean, std = self.normalisation(processor)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    @staticmethod
    def normalisation(processor) -> tuple[list[float], list[float]]:
        """The mean and standard deviation that come to all that the processor does with values in 0..1."""
        mean, std = [0.0] * 3, [1.0] * 3
        if processor.do_normalize:
            mean = [float(value) for value in processor.image_mean]
            std = [float(value) for value in processor.image_std]
        # EfficientNet's: values in -1..1, and a second division.
        if getattr(processor, "rescale_offset", False):
            mean = [value + 1 for value in mean]
        if getattr(processor, "include_top", False):
            std = [one * float(other) for one, other in zip(std, processor.image_std, strict=True)]
        return mean, std

    def forward(self, image):
        height, width = self.height, self.width
        if self.shortest > 0:
            rows, columns = image.size(0), image.size(1)
            if columns <= rows:
                height = int(self.shortest * rows / columns)
            else:
                width = int(self.shortest * columns / rows)
        picture = image.permute(2, 0, 1).unsqueeze(0)
        if self.resample == 0:
            picture = nearest(picture, height, width)
        elif self.resample == 3:
            picture = torch.ops.aten._upsample_bicubic2d_aa(picture, [height, width], False, None, None)
        else:
            picture = torch.ops.aten._upsample_bilinear2d_aa(picture, [height, width], False, None, None)
        top, left = (height - self.crop_height) // 2, (width - self.crop_width) // 2
        picture = picture[0, :, top : top + self.crop_height, left : left + self.crop_width]
        return (picture.to(torch.float32) * self.factor - self.mean) / self.std


def manifest(processor) -> dict:
    """The "image" part of `pack.json`."""
    module = Preprocess(processor)
    mean, std = module.normalisation(processor)
    return {"height": module.crop_height, "width": module.crop_width, "mean": mean, "std": std}


def golden_steps(processor) -> list[Step]:
    """Pictures that a resize leaves as they are, so that the graph's values are PIL's: one of the model's own size
    full of detail, one of odd size and a single colour."""
    module = Preprocess(processor)
    detail = golden.byte_pattern("image", (module.height, module.width + (6 if module.shortest else 0), 3))
    plain = {**golden.zeros("image", torch.uint8, (module.height + 5, 2 * module.width + 3, 3)), "fill": 100}
    return [
        Step("preprocess", [value], [torch.from_numpy(reference(processor, golden.tensor(value).numpy()))])
        for value in (detail, plain)
    ]


def reference(processor, image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [3, h, w] by the model's own image processor."""
    return processor(images=Image.fromarray(image), return_tensors="np")["pixel_values"][0].astype(np.float32)


def difference(graph, processor, image: np.ndarray) -> tuple[float, float]:
    """Largest and mean difference between graph and processor, in levels of 0..255."""
    _, std = Preprocess.normalisation(processor)
    scale = np.array(std, dtype=np.float32)[:, None, None]
    if processor.do_rescale:
        scale = scale / processor.rescale_factor
    actual = graph(image=torch.from_numpy(image))[0].numpy()
    levels = np.abs(actual - reference(processor, image)) * scale
    return float(levels.max()), float(levels.mean())


def check(graph, processor) -> str:
    """Compares the graph with the processor on pictures of many shapes; ValueError beyond the tolerance."""
    shapes = [(480, 640), (641, 479), (33, 57), (16, 16), (1, 40), (37, 1), (3, 2), (1, 1)]
    random = np.random.default_rng(0)
    largest, mean = 0.0, 0.0
    for height, width in shapes:
        coarse = random.integers(40, 216, (max(1, height // 8), max(1, width // 8), 3), dtype=np.uint8)
        picture = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        one, average = difference(graph, processor, picture)
        largest, mean = max(largest, one), max(mean, average)
    report = f"preprocess: at most {largest:.2f} and on average {mean:.4f} of 255 levels from the image processor"
    if largest > MAX_LEVELS or mean > MEAN_LEVELS:
        raise ValueError(f"{report} (expected: at most {MAX_LEVELS} and {MEAN_LEVELS}); no pack was written")
    return report
