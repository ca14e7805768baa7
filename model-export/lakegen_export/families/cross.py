"""Decoders with cross attention: the encoder hands over ready keys and values, so no step computes them again.

    encoder: inputs -> cross [L, 2, B, H, S, D] in the cache's dtype, mask int64 [B, S] (1: look at it)
    decoder: input_ids, slots, last, cache, cross, mask -> logits, as in `lakegen_export.slots`

Rows whose contexts differ in length share a batch: pad cross and mask with zeros up to the longest S.
"""

import copy
from abc import abstractmethod
from types import SimpleNamespace

import torch
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache

from .. import golden
from .. import slots as slot
from ..golden import Step
from ..source import generation
from .base import Family, Graph
from .decoding import DecoderSession, example_inputs, tokens


class CrossCache(EncoderDecoderCache):
    """Slots for self-attention, ready keys and values for cross-attention."""

    def __init__(self, cache: torch.Tensor, slots: torch.Tensor, cross: torch.Tensor, layers: int):
        self.self_attention_cache = slot.SlotCache(cache, slots)
        self.cross_attention_cache = _Ready(cross, layers)
        self.is_updated = dict.fromkeys(range(layers), True)


class _Ready(Cache):
    def __init__(self, cross: torch.Tensor, layers: int):
        self.layers = [SimpleNamespace(keys=cross[i, 0], values=cross[i, 1]) for i in range(layers)]


class _Encoder(torch.nn.Module):
    def __init__(self, family: "Cross", model):
        super().__init__()
        self.model = model
        self.encode = family.encode
        self.project = family.project
        self.heads, self.size = family.cache_shape(1, 1)[3::2]
        self.cache_dtype = family.cache_dtype

    def forward(self, *inputs):
        hidden, mask = self.encode(self.model, *inputs)
        layers = []
        for key, value in self.project(self.model, hidden):
            both = torch.stack([key, value])
            layers.append(both.view(*both.shape[:3], self.heads, self.size).transpose(2, 3))
        return torch.stack(layers).to(self.cache_dtype), mask


class _Decoder(torch.nn.Module):
    def __init__(self, family: "Cross", model):
        super().__init__()
        self.model = model
        self.decode = family.decode
        self.head = family.head
        self.layers = family.cache_shape(1, 1)[0]
        self.context = family.context

    def forward(self, input_ids, slots, last, cache, cross, mask):
        hidden = self.decode(
            self.model,
            input_ids,
            slot.positions(slots, 0, self.context),
            attention_mask=slot.slot_mask(slots, cache),
            # The layers ask for it to know that they have cross-attention; its values are in the cache already.
            encoder_hidden_states=cross[0, 0, :, 0],
            encoder_attention_mask=mask[:, None, None, :] > 0,
            past_key_values=CrossCache(cache, slots, cross, self.layers),
        )
        return self.head(self.model, slot.pick(hidden, last)).float()


class Cross(Family):
    """What encoder-decoder families share; a family says how its own modules encode, project and decode."""

    @abstractmethod
    def encode(self, model, *inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs of the encoder graph -> hidden states [B, S, hidden], mask int64 [B, S]."""

    @abstractmethod
    def project(self, model, hidden) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Hidden states -> for each decoder layer, keys and values [B, S, H * D]."""

    @abstractmethod
    def decode(self, model, input_ids, positions, **kwargs) -> torch.Tensor:
        """The decoder's states before its head [B, T, hidden]."""

    @abstractmethod
    def head(self, model, hidden) -> torch.Tensor:
        """States [B, hidden] -> logits [B, V]."""

    @abstractmethod
    def use_slot_attention(self, model) -> None:
        """Makes the decoder of the copy to trace fit for the slot cache."""

    @abstractmethod
    def encoder_inputs(self, rows: int) -> list[dict]:
        """Golden values for the encoder graph."""

    @abstractmethod
    def reference_arguments(self, inputs: list[torch.Tensor], row: int) -> dict:
        """Encoder inputs of one row, without padding, as arguments of the reference model."""

    def cache_shape(self, rows: int, slots: int) -> tuple[int, ...]:
        layers, heads, hidden = self.decoder_size()
        return layers, 2, rows, heads, slots, hidden // heads

    @abstractmethod
    def decoder_size(self) -> tuple[int, int, int]:
        """Layers, heads, and heads times the size of a head."""

    @property
    def vocabulary(self) -> int:
        return self.reference.get_output_embeddings().weight.shape[0]

    def decoder_ids(self, ids: list[int]) -> dict:
        return {"decoder_input_ids": torch.tensor([ids])}

    def graphs(self):
        model = copy.deepcopy(self.reference).to(self.dtype)
        self.use_slot_attention(model)
        inputs = {value["name"]: golden.tensor(value) for value in self.encoder_inputs(2)}
        layers, _, rows, heads, _, size = shape = self.cache_shape(2, 8)
        decoder = example_inputs(shape, self.cache_dtype)
        decoder["cross"] = torch.zeros(layers, 2, rows, heads, 5, size, dtype=self.cache_dtype)
        decoder["mask"] = torch.ones(rows, 5, dtype=torch.int64)
        return {"encoder": Graph(_Encoder(self, model), inputs), "decoder": Graph(_Decoder(self, model), decoder)}

    def manifest(self):
        layers, _, _, heads, _, size = self.cache_shape(1, 1)
        return {
            "cache": {"layers": layers, "heads": heads, "headDim": size, "prefix": 0},
            "generation": generation(self.generation_config(), self.context),
        }

    def generation_config(self):
        return self.reference.generation_config

    def cross_reference(self, arguments: dict) -> torch.Tensor:
        """The cross-attention keys and values that the reference model itself computes: [L, 2, B, H, S, D]."""
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        with torch.no_grad():
            self.reference(**arguments, past_key_values=cache, use_cache=True)
        return torch.stack([torch.stack([one.keys, one.values]) for one in cache.cross_attention_cache.layers])

    def session(self, rows: int, slots: int) -> DecoderSession:
        values = self.encoder_inputs(rows)
        inputs = [golden.tensor(value) for value in values]
        arguments = dict(zip(self.reference_names(), inputs, strict=True))
        cross = self.cross_reference({**arguments, **self.batch_start(rows)})
        mask = inputs[1] if len(inputs) > 1 else torch.ones(rows, cross.shape[4], dtype=torch.int64)

        def logits(ids: list[int], row: int) -> torch.Tensor:
            return self.reference(**self.reference_arguments(inputs, row), **self.decoder_ids(ids)).logits[0, -1]

        return DecoderSession(
            logits,
            self.cache_shape(rows, slots),
            self.cache_dtype,
            before=[Step("encoder", values, [cross, mask])],
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
        wide = self.session(4, 40).advance(ids(7, 1), ids(12, 2), ids(2, 3), ids(9, 4))
        return [unequal.steps, single.steps, wide.steps]


class VisionCross(Cross):
    """Pictures in: the context has the same length for all."""

    def pixel_shape(self, rows: int) -> tuple[int, ...]:
        size = self.image_size()
        return rows, 3, size, size

    @abstractmethod
    def image_size(self) -> int:
        """Side of the encoder's square input in pixels."""

    def encoder_inputs(self, rows):
        return [golden.sine("pixels", self.pixel_shape(rows))]

    def reference_arguments(self, inputs, row):
        return {"pixel_values": inputs[0][row : row + 1]}

    def reference_names(self):
        return ["pixel_values"]


class TextCross(Cross):
    """Text in: (input_ids int64 [B, S], attention_mask int64 [B, S], 0: padding)."""

    def encoder_inputs(self, rows):
        length = rows + 3
        lengths = [length - 2 * (row % 3) for row in range(rows)]
        ids = [tokens(self.vocabulary, one, row) + [0] * (length - one) for row, one in enumerate(lengths)]
        mask = [[1] * one + [0] * (length - one) for one in lengths]
        return [golden.data("input_ids", torch.tensor(ids)), golden.data("attention_mask", torch.tensor(mask))]

    def reference_arguments(self, inputs, row):
        length = int(inputs[1][row].sum())
        return {"input_ids": inputs[0][row : row + 1, :length]}

    def reference_names(self):
        return ["input_ids", "attention_mask"]
