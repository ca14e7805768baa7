"""Models with a tower for pictures and one for texts, whose vectors lie in one space: CLIP, SigLIP.

    image: pixels float32 [B, 3, h, w] -> vectors float32 [B, D] of length 1
    text:  input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding) -> vectors float32 [B, D] of length 1
    attention: see attention.py; of pictures

A picture's logit for a text is the section's `scale` times their vectors' product, plus `bias`; `function` makes
scores of the logits for several texts. SigLIP's text tower sees padding, and was trained with texts of one length: the
graph pads them itself.
"""

import copy
from typing import Any, ClassVar

import torch
from transformers import AutoModel

from .. import golden
from ..golden import Step
from ..image import manifest
from ..source import image_processor
from .attention import PictureAttention
from .base import Family, Graph, fold_quick_gelu, load_trained
from .decoding import tokens


def _see(model, **inputs):
    return model.get_image_features(**inputs)


def _unit(found: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(found.float(), dim=-1)


def _vectors(found) -> torch.Tensor:
    return _unit(found.pooler_output)


class _Image(torch.nn.Module):
    def __init__(self, model, dtype: torch.dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, pixels):
        found = _see(self.model, pixel_values=pixels.to(self.dtype)).pooler_output
        return _unit(found)


class _Text(torch.nn.Module):
    def __init__(self, family: "Dual", model):
        super().__init__()
        self.model = model
        self.length = family.text_length
        self.pad = family.pad

    def forward(self, input_ids, attention_mask):
        # Behind the end of the text nothing matters to CLIP, whose tokens see only what stands before them.
        ids = torch.where(attention_mask > 0, input_ids, self.pad)
        if self.length is not None:
            fill = torch.full_like(ids[:, :1], self.pad).expand(-1, self.length)
            ids = torch.cat([ids, fill], dim=1)[:, : self.length]
        found = self.model.get_text_features(input_ids=ids).pooler_output
        return _unit(found)


class Dual(Family):
    task: ClassVar[str] = "zero-shot-image-classification"
    images: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = ("attention_layer",)

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        image = manifest(image_processor(source))
        size = image["height"], image["width"]
        return cls(cls.load(source, **kwargs), request.dtype, tokenizer, size, request.attention_layer)

    @staticmethod
    def load(source, **kwargs):
        return load_trained(AutoModel, "compare pictures with texts", source, **kwargs)

    def __init__(self, reference, dtype, tokenizer: Any, size: tuple[int, int], attention_layer: int | None = None):
        super().__init__(reference, dtype)
        self.size = size
        text = reference.config.text_config
        self.siglip = reference.config.model_type == "siglip"
        self.context = text.max_position_embeddings
        self.text_length = self.context if self.siglip else None
        if tokenizer.pad_token_id is None:
            raise ValueError("pad_token: none (expected: a tokenizer that can pad)")
        self.pad = tokenizer.pad_token_id
        self.tokenizer = tokenizer
        self.vocabulary = text.vocab_size
        self.attention = None
        if attention_layer is not None:
            patch = reference.config.vision_config.patch_size
            self.attention = PictureAttention.of(reference, _see, attention_layer, size, patch)

    def graphs(self):
        model = copy.deepcopy(self.reference)
        fold_quick_gelu(model)
        model.to(self.dtype)
        text = {value["name"]: golden.tensor(value) for value in self.inputs([4, 2])}
        shown = {}
        if self.attention is not None:
            shown["attention"] = self.attention.graph(_vectors, self.pixels(2), self.dtype)
        return shown | {
            "image": Graph(_Image(model, self.dtype), {"pixels": golden.tensor(self.pixels(2))}),
            "text": Graph(_Text(self, model), text),
        }

    def pixels(self, rows: int) -> dict:
        return golden.sine("pixels", (rows, 3, *self.size))

    def inputs(self, lengths: list[int]) -> list[dict]:
        """Texts of these lengths in tokens, which end as the tokenizer ends them."""
        end = self.tokenizer("x")["input_ids"][-1]
        start = self.tokenizer("x")["input_ids"][0]
        longest = max(lengths)
        free = [token for token in range(self.vocabulary) if token not in self.tokenizer.all_special_ids]
        rows = []
        for row, length in enumerate(lengths):
            middle = [free[token] for token in tokens(len(free), length, row)]
            rows.append([start, *middle[1:-1], end][-length:])
        ids = [row + [self.pad] * (longest - len(row)) for row in rows]
        mask = [[1] * length + [0] * (longest - length) for length in lengths]
        return [golden.data("input_ids", torch.tensor(ids)), golden.data("attention_mask", torch.tensor(mask))]

    def text_vector(self, ids: list[int]) -> torch.Tensor:
        """[1, D], of one text alone, padded as transformers' pipeline pads it."""
        padded = ids + [self.pad] * ((self.text_length or len(ids)) - len(ids))
        return _unit(self.reference.get_text_features(input_ids=torch.tensor([padded])).pooler_output)

    def sessions(self):
        found = []
        for rows, lengths in ((2, [7, 2, 5]), (1, [3]), (3, [9, 9, 4, 2])):
            pixels, texts = self.pixels(rows), self.inputs(lengths)
            ids = golden.tensor(texts[0]).tolist()
            with torch.no_grad():
                image = _vectors(_see(self.reference, pixel_values=golden.tensor(pixels)))
                text = torch.cat([self.text_vector(row[:n]) for row, n in zip(ids, lengths, strict=True)])
            steps = [Step("image", [pixels], [image]), Step("text", texts, [text])]
            if self.attention is not None:
                steps.append(self.attention.step(pixels, image))
            found.append(steps)
        return found

    def section(self):
        with torch.no_grad():
            scale = self.reference.logit_scale.exp().item()
            bias = self.reference.logit_bias.item() if self.siglip else 0.0
            dimension = self.text_vector(self.tokenizer("x")["input_ids"]).shape[1]
        section = {
            "dimension": dimension,
            "scale": scale,
            "bias": bias,
            "function": "sigmoid" if self.siglip else "softmax",
        }
        return section if self.attention is None else {**section, "attention": self.attention.section()}
