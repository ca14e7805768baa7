"""Decoders with cross attention: the encoder hands over ready keys and values, so no step computes them again.

    encoder: inputs -> cross [L, 2, B, H, S, D] in the cache's dtype, zeros at padding;
             mask int64 [B, S] (1: look at it)
    decoder: input_ids, slots, last, cache, cross, mask -> logits, as in `lakegen_export.slots`

Rows whose contexts differ in length share a batch: pad cross and mask with zeros up to the longest S.
"""

import copy
from abc import abstractmethod
from types import SimpleNamespace

import torch
from transformers.cache_utils import Cache, EncoderDecoderCache

from .. import golden
from .. import slots as slot
from ..golden import Step
from ..source import generation
from . import traits
from .base import Family, Graph
from .decoding import CacheLayout, DecoderSession, example_inputs, tokens


class CrossCache(EncoderDecoderCache):
    """Slots for self-attention, ready keys and values for cross-attention."""

    def __init__(self, cache: torch.Tensor, slots: torch.Tensor, cross: torch.Tensor, layout: list[tuple[int, ...]]):
        self.self_attention_cache = slot.SlotCache(cache, slots)
        self.cross_attention_cache = _Ready(cross, layout)
        self.is_updated = dict.fromkeys(range(len(layout)), True)

    def get_query_offset(self, layer_idx=0):
        return self.self_attention_cache.get_query_offset(layer_idx)


class _Ready(Cache):
    def __init__(self, cross: torch.Tensor, layout: list[tuple[int, ...]]):
        self.layers = [
            SimpleNamespace(
                keys=cross[i, 0, :, :heads, :, :key], values=cross[i, 1, :, :heads, :, :value], is_sliding=False
            )
            for i, (heads, key, value) in enumerate(layout)
        ]


def _recorders() -> EncoderDecoderCache:
    return EncoderDecoderCache(slot.Recorder(), slot.Recorder())


def _stack(cache: EncoderDecoderCache, layout: CacheLayout) -> torch.Tensor:
    """The cross-attention keys and values of a cache: [L, 2, B, H, S, D]."""

    def whole(part: torch.Tensor) -> torch.Tensor:
        missing = layout.size - part.shape[3], layout.heads - part.shape[1]
        return torch.nn.functional.pad(part, (0, missing[0], 0, 0, 0, missing[1])) if any(missing) else part

    layers = cache.cross_attention_cache.layers
    return torch.stack([torch.stack([whole(one.keys), whole(one.values)]) for one in layers])


class _Encoder(torch.nn.Module):
    """The decoder makes its own keys and values of the context, on a token that nothing else of is kept."""

    def __init__(self, family: "Cross", model, positions: traits.Positions):
        super().__init__()
        self.model = model
        self.encode = family.encode
        self.decode = family.decode
        self.layout = family.cross_layout
        self.cache_dtype = family.cache_dtype
        self.pads = not family.images
        self.positions = positions

    def forward(self, *inputs):
        hidden, mask = self.encode(self.model, *inputs)
        start = torch.zeros_like(mask[:, :1])
        self.positions.set(start, 1)
        cache = _recorders()
        self.decode(self.model, start, start, hidden, mask, cache)
        cross = _stack(cache, self.layout).to(self.cache_dtype)
        return (cross * mask[:, None, :, None] if self.pads else cross), mask


class _Decoder(torch.nn.Module):
    def __init__(self, family: "Cross", model, positions: traits.Positions, head: slot.Head):
        super().__init__()
        self.model = model
        self.decode = family.decode
        self.layout = family.cross_parts
        self.head = head
        self.positions = positions
        self.context = family.context

    def forward(self, input_ids, slots, last, cache, cross, mask):
        self.head.last = last
        positions = slot.positions(slots, 0, self.context)
        self.positions.set(positions, cache.shape[4])
        past = CrossCache(cache, slots, cross, self.layout)
        # The layers ask for a context to know that they have cross-attention; its values are in the cache already.
        return self.decode(self.model, input_ids, positions, cross[0, 0, :, 0], mask, past)[:, 0].float()


class Cross(Family):
    """What encoder-decoder families share; a family says how its own modules encode and decode."""

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        arguments = dict(zip(self.reference_names(), map(golden.tensor, self.encoder_inputs(1)), strict=True))
        cache = self._run({**arguments, **self.batch_start(1)})
        layers = cache.cross_attention_cache.layers
        if not layers:
            raise ValueError(
                "cross attention: its keys and values are not in the cache (expected: an EncoderDecoderCache)"
            )
        self.layout = CacheLayout.of(cache.self_attention_cache)
        self.cross_layout = CacheLayout.of(cache.cross_attention_cache)
        self.cross_parts = [(one.keys.shape[1], one.keys.shape[3], one.values.shape[3]) for one in layers]

    @abstractmethod
    def encode(self, model, *inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs of the encoder graph -> hidden states [B, S, hidden], mask int64 [B, S]."""

    @abstractmethod
    def decode(self, model, input_ids, positions, hidden, mask, cache) -> torch.Tensor:
        """Logits [B, T, V]."""

    def head(self, model):
        """The part of a model that owns the output layer."""
        return model

    @abstractmethod
    def decoder(self, model):
        """The part of a model that makes a decoder's states of its tokens."""

    @abstractmethod
    def encoder_inputs(self, rows: int, longer: bool = False) -> list[dict]:
        """Golden values for the encoder graph; `longer`: beyond the windows of its attention."""

    @abstractmethod
    def reference_arguments(self, inputs: list[torch.Tensor], row: int) -> dict:
        """Encoder inputs of one row, without padding, as arguments of the reference model."""

    def cache_shape(self, rows: int, slots: int) -> tuple[int, ...]:
        return self.layout.shape(rows, slots)

    @property
    def vocabulary(self) -> int:
        return self.reference.config.get_text_config(decoder=True).vocab_size

    def decoder_ids(self, ids: list[int]) -> dict:
        return {"decoder_input_ids": torch.tensor([ids])}

    def graphs(self):
        rows = 2
        names = ["pixels"] if self.images else self.reference_names()
        values = map(golden.tensor, self.encoder_inputs(rows))
        inputs = dict(zip(names, values, strict=True))
        decoder = example_inputs(self.cache_shape(rows, 8), self.cache_dtype)
        decoder["cross"] = torch.zeros(self.cross_layout.shape(rows, 5), dtype=self.cache_dtype)
        decoder["mask"] = torch.ones(rows, 5, dtype=torch.int64)
        model = copy.deepcopy(self.reference).to(self.dtype)
        self.use_slot_attention(model)
        traits.prepare(model)
        positions, head = traits.Positions(self.decoder(model)), slot.Head(self.head(model))
        return {
            "encoder": Graph(_Encoder(self, model, positions), inputs),
            "decoder": Graph(_Decoder(self, model, positions, head), decoder),
        }

    def use_slot_attention(self, model) -> None:
        """Makes the copy to trace fit for the slot cache."""
        slot.use(model)

    def manifest(self):
        return {
            "cache": self.layout.manifest(0),
            "generation": generation(self.generation_config(), self.context),
        }

    def generation_config(self):
        return self.reference.generation_config

    def _run(self, arguments: dict) -> EncoderDecoderCache:
        cache = _recorders()
        with torch.no_grad():
            self.reference(**arguments, past_key_values=cache, use_cache=True)
        return cache

    def cross_reference(self, arguments: dict) -> torch.Tensor:
        """The cross-attention keys and values that the reference model itself computes: [L, 2, B, H, S, D]."""
        return _stack(self._run(arguments), self.cross_layout)

    def session(self, rows: int, slots: int, longer: bool = False) -> DecoderSession:
        values = self.encoder_inputs(rows, longer)
        inputs = [golden.tensor(value) for value in values]
        alone = [
            self.cross_reference({**self.reference_arguments(inputs, row), **self.batch_start(1)})
            for row in range(rows)
        ]
        longest = max(one.shape[4] for one in alone)
        cross = torch.cat([torch.nn.functional.pad(one, (0, 0, 0, longest - one.shape[4])) for one in alone], dim=2)
        mask = inputs[1] if len(inputs) > 1 else torch.ones(rows, longest, dtype=torch.int64)

        def logits(ids: list[int], row: int) -> torch.Tensor:
            return self.reference(**self.reference_arguments(inputs, row), **self.decoder_ids(ids)).logits[0, -1]

        return DecoderSession(
            logits,
            self.cache_shape(rows, slots),
            self.cache_dtype,
            before=[Step("encoder", values, [cross, mask], "the context")],
            context=[golden.output_of("cross", 0, 0), golden.output_of("mask", 0, 1)],
        )

    @abstractmethod
    def reference_names(self) -> list[str]:
        """The reference model's names for the inputs of the encoder graph."""

    def batch_start(self, rows: int) -> dict:
        return {"decoder_input_ids": torch.zeros(rows, 1, dtype=torch.int64)}

    def sessions(self) -> list[list[Step]]:
        def ids(length: int, seed: int) -> list[int]:
            return tokens(self.vocabulary, length, seed)

        unequal = self.session(3, 32)
        unequal.advance(ids(1, 1), ids(1, 2), ids(3, 3)).advance(ids(1, 4), ids(1, 5), ids(1, 6))
        unequal.refill(1).advance(ids(1, 7), ids(4, 8), ids(1, 9)).advance(ids(1, 1), ids(1, 2), ids(1, 3))
        single = self.session(1, 6).advance(ids(1, 4)).advance(ids(1, 5)).advance(ids(4, 6))
        wide = self.session(4, 40, longer=True).advance(ids(7, 1), ids(12, 2), ids(2, 3), ids(9, 4))
        return [unequal.steps, single.steps, wide.steps]


class VisionCross(Cross):
    """Pictures in: the context has the same length for all."""

    def pixel_shape(self, rows: int) -> tuple[int, ...]:
        size = self.image_size()
        return rows, 3, size, size

    @abstractmethod
    def image_size(self) -> int:
        """Side of the encoder's square input in pixels."""

    def encoder_inputs(self, rows, longer=False):
        return [golden.sine("pixels", self.pixel_shape(rows))]

    def reference_arguments(self, inputs, row):
        return {"pixel_values": inputs[0][row : row + 1]}

    def reference_names(self):
        return ["pixel_values"]


class TextCross(Cross):
    """Text in: (input_ids int64 [B, S], attention_mask int64 [B, S], 0: padding)."""

    @property
    def pad(self) -> int:
        return self.reference.config.get_text_config(encoder=True).pad_token_id or 0

    def encoder_inputs(self, rows, longer=False):
        config = self.reference.config
        length = max([20, *traits.windows(config, traits.context(config))]) if longer else rows + 3
        lengths = [length - 2 * (row % 3) for row in range(rows)]
        pad = self.pad
        texts = [
            [token + (token >= pad) for token in tokens(self.vocabulary - 1, one, row)]
            for row, one in enumerate(lengths)
        ]
        ids = [text + [pad] * (length - len(text)) for text in texts]
        mask = [[1] * one + [0] * (length - one) for one in lengths]
        return [golden.data("input_ids", torch.tensor(ids)), golden.data("attention_mask", torch.tensor(mask))]

    def reference_arguments(self, inputs, row):
        length = int(inputs[1][row].sum())
        return {"input_ids": inputs[0][row : row + 1, :length]}

    def reference_names(self):
        return ["input_ids", "attention_mask"]
