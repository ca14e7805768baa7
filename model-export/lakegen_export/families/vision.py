"""Models that see a picture as a whole: classifiers, and encoders whose vector stands for it.

model: pixels float32 [B, 3, h, w] -> logits float32 [B, labels], or vectors float32 [B, D]
attention: see attention.py; of encoders
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
from .attention import PictureAttention
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


def _see(model, **inputs):
    return model(**inputs)


class ImageEncoder(Vision):
    """DINOv2: the vector of the class token, as ImageFeatureExtractionPipeline gives it with `pool`."""

    task: ClassVar[str] = "image-feature-extraction"
    heads: ClassVar[tuple[str, ...]] = ("Model",)
    options: ClassVar[tuple[str, ...]] = ("attention_layer",)
    attention: PictureAttention | None = None

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        family = super().build(request, source, tokenizer, **kwargs)
        if request.attention_layer is not None:
            patch = getattr(family.reference.config, "patch_size", 1)
            layer = request.attention_layer
            family.attention = PictureAttention.of(family.reference, _see, layer, family.size, patch)
        return family

    @staticmethod
    def load(source, **kwargs):
        return load_trained(AutoModel, "see pictures", source, **kwargs)

    @staticmethod
    def output(found):
        return found.pooler_output

    def graphs(self):
        # The encoder's own last: its speed is what `--dtype auto` measures.
        shown = {}
        if self.attention is not None:
            shown["attention"] = self.attention.graph(self.output, self.pixels(2), self.dtype)
        return shown | super().graphs()

    def sessions(self):
        found = super().sessions()
        if self.attention is not None:
            for steps in found:
                (model,) = steps
                steps.append(self.attention.step(model.inputs[0], model.outputs[0]))
        return found

    def section(self):
        section = {"dimension": self.reference.config.hidden_size}
        return section if self.attention is None else {**section, "attention": self.attention.section()}
