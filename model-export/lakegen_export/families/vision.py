"""Models that see a picture as a whole: classifiers, and encoders whose vector stands for it.

model: pixels float32 [B, 3, h, w] -> logits float32 [B, labels], or vectors float32 [B, D]
"""

import copy
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from transformers import AutoModel, AutoModelForImageClassification

from .. import golden
from ..golden import Step
from ..image import manifest
from ..source import image_processor
from .base import Family, Graph, fold_quick_gelu, load_trained, names


class _Model(torch.nn.Module):
    def __init__(self, family: "Vision", model, dtype: torch.dtype):
        super().__init__()
        self.model = model
        self.output = family.output
        self.dtype = dtype

    def forward(self, pixels):
        return self.output(self.model(pixel_values=pixels.to(self.dtype))).float()


def _fix_windows(model, pixels) -> None:
    """Swin fits its windows to the picture at each call, with tensors of the device while it is traced.

    Pictures have one size here, so those of one call do for all.
    """
    layers = [layer for layer in model.modules() if hasattr(layer, "set_shift_and_window_size")]
    if layers:
        with torch.no_grad():
            model(pixel_values=pixels.to(model.dtype))
    for layer in layers:
        layer.set_shift_and_window_size = lambda _resolution: None


class Vision(Family):
    """What both kinds share; pictures have the size that the model's image processor makes them."""

    images: ClassVar[bool] = True
    texts: ClassVar[bool] = False

    def __init__(self, reference, dtype, size: tuple[int, int]):
        super().__init__(reference, dtype)
        self.size = size

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        size = manifest(image_processor(source))
        return cls(cls.load(source, **kwargs), request.dtype, (size["height"], size["width"]))

    @staticmethod
    @abstractmethod
    def output(found: Any) -> torch.Tensor:
        """The output of the graph, from what the model gives."""

    def graphs(self):
        model = copy.deepcopy(self.reference)
        fold_quick_gelu(model)
        example = {"pixels": golden.tensor(self.pixels(2))}
        _fix_windows(model, **example)
        return {"model": Graph(_Model(self, model.to(self.dtype), self.dtype), example)}

    def pixels(self, rows: int) -> dict:
        return golden.sine("pixels", (rows, 3, *self.size))

    def sessions(self):
        found = []
        for rows in (2, 1, 5):
            values = self.pixels(rows)
            with torch.no_grad():
                found.append([Step("model", [values], [self.output(self.reference(golden.tensor(values)))])])
        return found


class ImageClassifier(Vision):
    """ViT, DeiT, Swin, ConvNeXt, ResNet, EfficientNet."""

    task: ClassVar[str] = "image-classification"
    heads: ClassVar[tuple[str, ...]] = ("ForImageClassification", "ForImageClassificationWithTeacher")

    @staticmethod
    def load(source, **kwargs):
        return load_trained(AutoModelForImageClassification, "classify pictures", source, **kwargs)

    @staticmethod
    def output(found):
        return found.logits

    def section(self):
        """With what ImageClassificationPipeline.postprocess of transformers applies when its caller names nothing."""
        config = self.reference.config
        several = config.problem_type == "multi_label_classification" or config.num_labels == 1
        return {"labels": names(config), "function": "sigmoid" if several else "softmax"}


class ImageEncoder(Vision):
    """DINOv2: the vector of the class token, as ImageFeatureExtractionPipeline gives it with `pool`."""

    task: ClassVar[str] = "image-feature-extraction"
    heads: ClassVar[tuple[str, ...]] = ("Model",)

    @staticmethod
    def load(source, **kwargs):
        return load_trained(AutoModel, "see pictures", source, **kwargs)

    @staticmethod
    def output(found):
        return found.pooler_output

    def section(self):
        return {"dimension": self.reference.config.hidden_size}
