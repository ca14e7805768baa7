"""The layers of BERT's type with their backward passes in plain operators, for traced graphs, which have no autograd.

Every function returns its value and `back`, which takes the gradient of the value and gives that of the input. Holds
in evaluation mode, without dropout, and for layers that normalise after the residual sum.
"""

import math
from collections.abc import Callable

import torch
from torch.nn import functional

Tensor = torch.Tensor
Back = Callable[[Tensor], Tensor]

ACTIVATION = "gelu"
"""The only `hidden_act` that has a backward pass here: GELU by the error function."""


def layer_norm(layer: torch.nn.LayerNorm, hidden: Tensor) -> tuple[Tensor, Back]:
    """Ba et al., Layer Normalization, 2016, over the last axis."""

    def back(gradient: Tensor) -> Tensor:
        centred = hidden - hidden.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + layer.eps).rsqrt()
        unit = centred * scale
        inner = gradient * layer.weight
        return scale * (inner - inner.mean(-1, keepdim=True) - unit * (inner * unit).mean(-1, keepdim=True))

    return layer(hidden), back


def gelu(hidden: Tensor) -> tuple[Tensor, Back]:
    """x times the normal distribution's cumulative function, whose derivative is its density."""

    def back(gradient: Tensor) -> Tensor:
        cumulative = 0.5 * (1 + torch.erf(hidden * math.sqrt(0.5)))
        density = torch.exp(-0.5 * hidden.square()) / math.sqrt(2 * math.pi)
        return gradient * (cumulative + hidden * density)

    return functional.gelu(hidden), back


def output(block: torch.nn.Module, hidden: Tensor, residual: Tensor) -> tuple[Tensor, Callable]:
    """The end of an attention or feed-forward block; `back` gives the gradients of both inputs."""
    value, back_norm = layer_norm(block.LayerNorm, block.dense(hidden) + residual)

    def back(gradient: Tensor) -> tuple[Tensor, Tensor]:
        inner = back_norm(gradient)
        return inner @ block.dense.weight, inner

    return value, back


def feed_forward(layer: torch.nn.Module, hidden: Tensor) -> tuple[Tensor, Back]:
    wide, back_gelu = gelu(layer.intermediate.dense(hidden))
    value, back_output = output(layer.output, wide, hidden)

    def back(gradient: Tensor) -> Tensor:
        inner, residual = back_output(gradient)
        return residual + back_gelu(inner) @ layer.intermediate.dense.weight

    return value, back


def split_heads(hidden: Tensor, heads: int) -> Tensor:
    """[B, T, D] -> [B, heads, T, D / heads]."""
    return hidden.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(hidden: Tensor) -> Tensor:
    return hidden.transpose(1, 2).flatten(2)


def weigh(block: torch.nn.Module, hidden: Tensor, source: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Queries (scaled), keys, values and probabilities of an attention block, by heads; `mask` is added to scores."""
    own = block.self
    heads = own.num_attention_heads
    query = split_heads(own.query(hidden), heads) / math.sqrt(own.attention_head_size)
    key, value = split_heads(own.key(source), heads), split_heads(own.value(source), heads)
    scores = query @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    return query, key, value, scores.softmax(-1)


def attention(
    block: torch.nn.Module, hidden: Tensor, source: Tensor | None = None, mask: Tensor | None = None
) -> tuple[Tensor, Back]:
    """Attention of `hidden` to itself or to a constant `source`; `back` gives the gradient of `hidden` alone."""
    query, key, value, probabilities = weigh(block, hidden, hidden if source is None else source, mask)
    own = block.self
    result, back_output = output(block.output, join_heads(probabilities @ value), hidden)

    def back(gradient: Tensor) -> Tensor:
        inner, residual = back_output(gradient)
        inner = split_heads(inner, own.num_attention_heads)
        by_probability = inner @ value.transpose(-1, -2)
        by_score = probabilities * (by_probability - (by_probability * probabilities).sum(-1, keepdim=True))
        by_query = join_heads(by_score @ key) / math.sqrt(own.attention_head_size)
        total = residual + by_query @ own.query.weight
        if source is None:
            by_key = join_heads(by_score.transpose(-1, -2) @ query)
            by_value = join_heads(probabilities.transpose(-1, -2) @ inner)
            total = total + by_key @ own.key.weight + by_value @ own.value.weight
        return total

    return result, back
