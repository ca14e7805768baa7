"""Causal language models: GPT-2 and the Llama type."""

import copy
from typing import ClassVar

import torch
from transformers import AutoModelForCausalLM

from .. import slots as slot
from ..golden import Step
from ..source import generation
from .base import Family, Graph
from .decoding import DecoderSession, example_inputs, tokens


class CausalDecoder(torch.nn.Module):
    """(input_ids, slots, last, cache) -> logits; shapes in `lakegen_export.slots`."""

    def __init__(self, model, context: int, window: int | None):
        super().__init__()
        self.model = model
        self.context = context
        self.window = window

    def forward(self, input_ids, slots, last, cache):
        hidden = self.model.base_model(
            input_ids=input_ids,
            position_ids=slot.positions(slots, 0, self.context),
            attention_mask=slot.slot_mask(slots, cache, self.window),
            past_key_values=slot.SlotCache(cache, slots),
            use_cache=True,
        ).last_hidden_state
        return self.model.get_output_embeddings()(slot.pick(hidden, last)).float()


class Causal(Family):
    """GPT-2, Llama, Mistral, Qwen2 and what shares their configuration keys."""

    task: ClassVar[str] = "text-generation"

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        config = reference.config
        rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
        if rope in ("dynamic", "longrope"):
            # Their frequencies depend on the length of the sequence, which a trace freezes.
            raise ValueError(f"rope_type: {rope} (expected: default, linear, yarn or llama3)")
        kinds = set(getattr(config, "layer_types", None) or [None])
        if len(kinds) > 1:
            raise ValueError(f"layer_types: {sorted(kinds)} (expected: one kind of attention in all layers)")
        self.context = config.max_position_embeddings
        self.window = None if kinds == {"full_attention"} else getattr(config, "sliding_window", None)

    def cache_shape(self, rows: int, slots: int) -> tuple[int, ...]:
        config = self.reference.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return config.num_hidden_layers, 2, rows, heads, slots, size

    def graphs(self):
        model = copy.deepcopy(self.reference).to(self.dtype)
        model.set_attn_implementation(slot.ATTENTION)
        decoder = CausalDecoder(model, self.context, self.window)
        return {"decoder": Graph(decoder, example_inputs(self.cache_shape(2, 8), self.cache_dtype))}

    def manifest(self):
        layers, _, _, heads, _, size = self.cache_shape(1, 1)
        return {
            "cache": {"layers": layers, "heads": heads, "headDim": size, "prefix": 0},
            "generation": generation(self.reference.generation_config, self.context),
        }

    def logits(self, ids: list[int], _row: int) -> torch.Tensor:
        return self.reference(torch.tensor([ids])).logits[0, -1]

    def session(self, rows: int, slots: int) -> DecoderSession:
        return DecoderSession(self.logits, self.cache_shape(rows, slots), self.cache_dtype)

    def sessions(self) -> list[list[Step]]:
        size = self.reference.config.vocab_size

        def ids(length: int, seed: int) -> list[int]:
            return tokens(size, length, seed)

        unequal = self.session(3, 32)
        unequal.advance(ids(5, 1), ids(1, 2), ids(3, 3)).advance(ids(1, 4), ids(1, 5), ids(1, 6))
        unequal.refill(1).advance(ids(1, 7), ids(4, 8), ids(1, 9)).advance(ids(1, 1), ids(1, 2), ids(1, 3))
        single = self.session(1, 6).advance(ids(1, 4)).advance(ids(1, 5)).advance(ids(4, 6))
        wide = self.session(4, 40).advance(ids(7, 1), ids(12, 2), ids(2, 3), ids(9, 4))
        wide.advance(*[ids(1, seed) for seed in range(4)])
        return [unequal.steps, single.steps, wide.steps]
