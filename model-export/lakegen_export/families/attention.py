"""The weights of one layer's self-attention, mean of its heads: of each token for each token.

Of a picture the tokens are its patches, row by row, behind what a model puts in front of them, such as a class token:

    attention: pixels float32 [B, 3, h, w] -> vectors float32 [B, D], weights float32 [B, T, T]
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .. import golden
from ..golden import Step
from .base import Graph, fold_quick_gelu


def eager(model: Any) -> Any:
    """A copy that gives the weights, which the faster kinds of attention never hold."""
    found = copy.deepcopy(model)
    found.set_attn_implementation("eager")
    return found


def check(layer: int, model: Any, found: Any) -> None:
    """ValueError where what a model gave with `output_attentions` doesn't show the layer's weights."""
    layers = getattr(found, "attentions", None) or ()
    if not layers or any(one is None or one.dim() != 4 for one in layers):
        raise ValueError(
            f"attention_layer: {layer} (expected: none, {type(model).__name__} gives no attention weights)"
        )
    if not 0 <= layer < len(layers):
        raise ValueError(f"attention_layer: {layer} (expected: 0 to {len(layers) - 1})")


See = Callable[..., Any]
"""Calls a model for `pixel_values` with further options; gives what transformers' model gives."""


class _Graph(torch.nn.Module):
    def __init__(self, model, see: See, vectors: Callable[[Any], torch.Tensor], layer: int, dtype: torch.dtype):
        super().__init__()
        self.model, self.see, self.vectors, self.layer, self.dtype = model, see, vectors, layer, dtype

    def forward(self, pixels):
        found = self.see(self.model, pixel_values=pixels.to(self.dtype), output_attentions=True)
        return self.vectors(found).float(), found.attentions[self.layer].float().mean(1)


@dataclass(frozen=True)
class PictureAttention:
    """A layer of a model that sees pictures of one size; `model` is its copy that gives the weights."""

    model: Any
    see: See
    layer: int
    tokens: int
    height: int
    """Rows of patches."""

    width: int

    @classmethod
    def of(cls, reference: Any, see: See, layer: int, size: tuple[int, int], patch: Any) -> "PictureAttention":
        """The layer of a reference; ValueError where its tokens aren't the patches of the picture.

        `patch`: pixels of a patch's side, or of its height and width, as configurations have it.
        """
        model = eager(reference)
        with torch.no_grad():
            found = see(model, pixel_values=torch.zeros(1, 3, *size), output_attentions=True)
        check(layer, reference, found)
        sides = patch if hasattr(patch, "__len__") else (patch, patch)
        height, width = (pixels // side for pixels, side in zip(size, sides, strict=True))
        tokens = found.attentions[layer].shape[3]
        whole = all(one.shape[0] == 1 and one.shape[2:] == (tokens, tokens) for one in found.attentions)
        if not whole or tokens < height * width:
            raise ValueError(
                f"attention_layer: {layer} (expected: none, {type(reference).__name__} has no attention between all "
                "patches of a picture)"
            )
        return cls(model, see, layer, tokens, height, width)

    def graph(self, vectors: Callable[[Any], torch.Tensor], pixels: dict, dtype: torch.dtype) -> Graph:
        """`vectors`: what the encoder's own graph gives, from what `see` gives."""
        model = copy.deepcopy(self.model)
        fold_quick_gelu(model)
        module = _Graph(model.to(dtype), self.see, vectors, self.layer, dtype)
        return Graph(module, {"pixels": golden.tensor(pixels)})

    def step(self, pixels: dict, vectors: torch.Tensor) -> Step:
        """What the graph must give beside the encoder's `vectors`."""
        return Step("attention", [pixels], [vectors, self.weights(golden.tensor(pixels))])

    def weights(self, pixels: torch.Tensor) -> torch.Tensor:
        """[B, T, T], of each picture alone: the reference holds the weights of all layers and heads."""
        rows = []
        for picture in pixels:
            with torch.no_grad():
                found = self.see(self.model, pixel_values=picture[None], output_attentions=True)
            rows.append(found.attentions[self.layer].mean(1))
        return torch.cat(rows)

    def section(self) -> dict:
        """The key `attention` of the section; the last height x width of the tokens are the patches."""
        return {"layer": self.layer, "tokens": self.tokens, "height": self.height, "width": self.width}
