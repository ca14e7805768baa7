"""Linear layers in float32 as oneDNN computes them on CPUs.

MKL is slow for a few rows, as a decoding step has them: on two threads of an AMD EPYC a GPT-2-small's layers take 83 ms
for 4 rows and 85 for 16, oneDNN's 36 and 48. Of two rows and more, each comes out the same to the last bit.
"""

from collections.abc import Callable

import torch
from transformers.pytorch_utils import Conv1D


@torch.jit.script_if_tracing
def linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None):
    if states.is_cuda:
        return torch.nn.functional.linear(states, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")


class Linear(torch.nn.Module):
    """A linear layer; float32 in and out."""

    def __init__(self, weight: torch.nn.Parameter, bias: torch.nn.Parameter | None):
        super().__init__()
        self.weight = weight
        self.bias = bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return linear(states, self.weight, self.bias)


def replace(model: torch.nn.Module, by: Callable[[torch.nn.Parameter, torch.nn.Parameter | None], torch.nn.Module]):
    """Puts what `by` makes of weight [out, in] and bias in the place of every linear layer of a model."""
    for name, layer in list(model.named_children()):
        if type(layer) is Conv1D:
            setattr(model, name, by(torch.nn.Parameter(layer.weight.detach().T.contiguous()), layer.bias))
        elif type(layer) is torch.nn.Linear:
            setattr(model, name, by(layer.weight, layer.bias))
        else:
            replace(layer, by)
