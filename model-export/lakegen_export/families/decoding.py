"""Sessions that drive a `decoder` graph the way a batch server does: unequal rows, single steps, refilled rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from transformers.cache_utils import DynamicIndexedLayer, LinearAttentionCacheLayerMixin

from .. import golden
from ..golden import Step

Reference = Callable[[list[int], int], torch.Tensor]
"""(all tokens of a sequence so far, number of the sequence) -> logits [V] of the next token."""


def kept(output: Any) -> Any:
    """What a model's output says that it keeps between tokens, by the names in use; None where it keeps nothing."""
    names = ("past_key_values", "cache_params", "state", "mems")
    return next((value for name in names if (value := getattr(output, name, None)) is not None), None)


@dataclass(frozen=True)
class CacheLayout:
    """Number of layers, most heads of any, and the largest key or value."""

    layers: int
    heads: int
    size: int

    @classmethod
    def of(cls, cache: Any) -> Self:
        """Of a cache that holds tokens; ValueError where a model keeps more than keys and values between tokens."""
        if cache is None:
            raise ValueError(
                "state: none in the output of the model (expected: a cache of the keys and values of attention)"
            )
        layers = getattr(cache, "layers", None)
        if not layers or any(
            isinstance(layer, LinearAttentionCacheLayerMixin | DynamicIndexedLayer) for layer in layers
        ):
            raise ValueError(
                "state: recurrent, it sums up a whole row (expected: keys and values of attention, which slots hold)"
            )
        parts = [part for layer in layers for part in (layer.keys, layer.values) if part is not None]
        return cls(len(layers), max(part.shape[1] for part in parts), max(part.shape[3] for part in parts))

    def shape(self, rows: int, slots: int) -> tuple[int, ...]:
        return self.layers, 2, rows, self.heads, slots, self.size

    def manifest(self, prefix: int) -> dict:
        return {"layers": self.layers, "heads": self.heads, "headDim": self.size, "prefix": prefix}


class DecoderSession:
    """Builds the steps of one decoder graph over one cache.

    Each row holds a sequence; `advance` appends tokens to rows, `refill` starts another sequence in a row.
    """

    def __init__(
        self,
        reference: Reference,
        cache_shape: Sequence[int],
        cache_dtype: torch.dtype,
        prefix: int = 0,
        before: Sequence[Step] = (),
        cache: dict | None = None,
        context: Sequence[dict] = (),
    ):
        self.reference = reference
        self.steps = list(before)
        self.prefix = prefix
        self.context = list(context)
        self.cache = cache or golden.zeros("cache", cache_dtype, cache_shape)
        self.sequences: list[list[int]] = [[] for _ in range(cache_shape[2])]
        self.refilled = False

    def refill(self, row: int) -> "DecoderSession":
        self.sequences[row] = []
        self.refilled = True
        return self

    def advance(self, *tokens: Sequence[int], shows: str | None = None) -> "DecoderSession":
        """Gives every row one or more new tokens in one call of the graph; `shows`: what it checks."""
        shows = shows or self._property(tokens)
        length = max(len(row) for row in tokens)
        ids, slots, last, logits = [], [], [], []
        for number, (sequence, new) in enumerate(zip(self.sequences, tokens, strict=True)):
            start = self.prefix + len(sequence)
            sequence += new
            ids.append(list(new) + [0] * (length - len(new)))
            slots.append(list(range(start, start + length)))
            last.append(len(new) - 1)
            with torch.no_grad():
                logits.append(self.reference(sequence, number))
        self.steps.append(
            Step(
                "decoder",
                [
                    golden.data("input_ids", torch.tensor(ids)),
                    golden.data("slots", torch.tensor(slots)),
                    golden.data("last", torch.tensor(last)),
                    self.cache,
                    *self.context,
                ],
                [torch.stack(logits).float()],
                shows,
            )
        )
        self.cache = golden.cache_of(len(self.steps) - 1)
        return self

    def _property(self, tokens: Sequence[Sequence[int]]) -> str:
        if self.refilled:
            return "rows that join later"
        if any(self.sequences):
            return "tokens after a prompt"
        return "rows of unequal length" if len({len(row) for row in tokens}) > 1 else "a row alone"


def tokens(vocabulary: int, length: int, seed: int) -> list[int]:
    """Token ids spread over the vocabulary."""
    return [(17 + 7919 * (seed * 31 + i)) % vocabulary for i in range(length)]


def example_inputs(cache_shape: Sequence[int], cache_dtype: torch.dtype, prefix: int = 0) -> dict:
    """Inputs to trace with: unequal rows, more slots than tokens."""
    length = 3
    rows = cache_shape[2]
    return {
        "input_ids": torch.arange(1, rows * length + 1).reshape(rows, length),
        "slots": torch.arange(prefix, prefix + length).expand(rows, length).clone(),
        "last": torch.arange(rows) % length,
        "cache": torch.zeros(*cache_shape, dtype=cache_dtype),
    }
