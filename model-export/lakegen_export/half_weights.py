"""Weights in float16 under float32 arithmetic, for decoders on CPUs.

A decoding step reads all weights for a few rows: half the bytes take half the time, and FBGEMM, which has them packed
already, multiplies few rows several times as fast as MKL. Every row comes out the same to the last bit whatever
shares its batch.
"""

import torch

NAME = "float16_weights"
"""The dtype that `pack.json` says."""


class HalfLinear(torch.nn.Module):
    """A linear layer; float32 in and out."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        own = None if bias is None else bias.detach().float()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.detach().float().contiguous(), own)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.ops.quantized.linear_dynamic_fp16(states, self.packed)
