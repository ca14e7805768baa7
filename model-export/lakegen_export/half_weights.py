"""Weights in float16 under float32 arithmetic, for decoders on CPUs.

A decoding step reads all weights for a few rows: half the bytes take half the time, and FBGEMM, which has them packed
already, multiplies few rows several times as fast as MKL. Every row comes out the same to the last bit whatever
shares its batch.
"""

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

NAME = "float16_weights"
"""The dtype that `pack.json` says."""


class HalfLinear(torch.nn.Module):
    """A linear layer; float32 in and out."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.ops.quantized.linear_dynamic_fp16(states, self.packed)


def keep(model: torch.nn.Module) -> None:
    """Puts the weights of all linear layers of a float32 model into float16, in place."""
    for name, layer in list(model.named_children()):
        half = _half(layer)
        if half is None:
            keep(layer)
        else:
            setattr(model, name, half)


def _half(layer: Any) -> HalfLinear | None:
    if type(layer) not in (torch.nn.Linear, Conv1D):
        return None
    weight = layer.weight.T if isinstance(layer, Conv1D) else layer.weight
    bias = None if layer.bias is None else layer.bias.detach().float()
    return HalfLinear(weight.detach().float().contiguous(), bias)
