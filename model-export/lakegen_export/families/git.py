"""GIT: visual tokens are a prefix in the cache of a causal decoder."""

import copy
from types import MethodType
from typing import ClassVar

import torch
from transformers import AutoModelForCausalLM

from .. import golden
from .. import slots as slot
from ..golden import Step
from ..source import generation
from .base import Family, Graph, fold_quick_gelu
from .decoding import DecoderSession, example_inputs, tokens


class GitEncoder(torch.nn.Module):
    """(pixels float32 [B, 3, h, w], cache) -> visual features [B, N, hidden]; fills slots 0..N-1 of every row.

    GIT's visual tokens see only each other, so their keys and values don't depend on any text.
    """

    def __init__(self, model, dtype: torch.dtype):
        super().__init__()
        self.git = model.git
        self.dtype = dtype

    def forward(self, pixels, cache):
        visual = self.git.image_encoder(pixels.to(self.dtype)).last_hidden_state
        hidden = self.git.visual_projection(visual)
        slots = torch.arange(hidden.shape[1], device=cache.device).expand(hidden.shape[:2])
        view = cache[:, :, :, :, : hidden.shape[1]]
        self.git.encoder(hidden, attention_mask=None, past_key_values=slot.SlotCache(view, slots))
        return hidden.float()


class GitDecoder(torch.nn.Module):
    """(input_ids, slots, last, cache) -> logits; slots count from the number of visual tokens."""

    def __init__(self, model, prefix: int, context: int):
        super().__init__()
        self.model = model
        self.prefix = prefix
        self.context = context

    def forward(self, input_ids, slots, last, cache):
        git = self.model.git
        hidden = git.encoder(
            git.embeddings(input_ids, position_ids=slot.positions(slots, self.prefix, self.context)),
            attention_mask=slot.slot_mask(slots, cache),
            past_key_values=slot.SlotCache(cache, slots),
        ).last_hidden_state
        return self.model.output(slot.pick(hidden, last)).float()


def _self_attention(self, hidden_states, attention_mask=None, past_key_values=None, **kwargs):
    """GIT knows eager attention only, which can't mix a float32 cache with a bfloat16 model."""
    shape = (*hidden_states.shape[:-1], -1, self.attention_head_size)
    query, key, value = (
        layer(hidden_states).view(shape).transpose(1, 2) for layer in (self.query, self.key, self.value)
    )
    key, value = past_key_values.update(key, value, self.layer_idx)
    attended = torch.nn.functional.scaled_dot_product_attention(query.type_as(key), key, value, attention_mask)
    return attended.type_as(query).transpose(1, 2).flatten(2), None


class Git(Family):
    task: ClassVar[str] = "image-to-text"
    images: ClassVar[bool] = True

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        config = reference.config
        if config.num_image_with_embedding is not None:
            raise ValueError(
                f"num_image_with_embedding: {config.num_image_with_embedding} (expected: a model for single images)"
            )
        self.prefix = reference.git.encoder.layer[0].attention.self.image_patch_tokens
        self.context = config.max_position_embeddings

    def cache_shape(self, rows: int, slots: int) -> tuple[int, ...]:
        config = self.reference.config
        heads = config.num_attention_heads
        return config.num_hidden_layers, 2, rows, heads, slots, config.hidden_size // heads

    def pixel_shape(self, rows: int) -> tuple[int, ...]:
        size = self.reference.config.vision_config.image_size
        return rows, 3, size, size

    def graphs(self):
        model = copy.deepcopy(self.reference)
        fold_quick_gelu(model)
        model.to(self.dtype)
        # transformers gives its vision tower eager attention too, which holds all the weights at once.
        model.git.image_encoder.config._attn_implementation = "sdpa"
        for layer in model.git.encoder.layer:
            attention = layer.attention.self
            attention.forward = MethodType(_self_attention, attention)
        shape = self.cache_shape(2, self.prefix + 8)
        cache = torch.zeros(*shape, dtype=self.cache_dtype)
        pixels = golden.tensor(golden.sine("pixels", self.pixel_shape(2)))
        return {
            "encoder": Graph(GitEncoder(model, self.dtype), {"pixels": pixels, "cache": cache}),
            "decoder": Graph(
                GitDecoder(model, self.prefix, self.context),
                example_inputs(shape, self.cache_dtype, self.prefix),
            ),
        }

    def manifest(self):
        layers, _, _, heads, _, size = self.cache_shape(1, 1)
        return {
            "cache": {"layers": layers, "heads": heads, "headDim": size, "prefix": self.prefix},
            "generation": generation(self.reference.generation_config, self.context),
        }

    def session(self, rows: int, slots: int) -> DecoderSession:
        """A session whose first step encodes `rows` pictures."""
        pixels = golden.sine("pixels", self.pixel_shape(rows))
        pictures = golden.tensor(pixels)
        cache = golden.zeros("cache", self.cache_dtype, self.cache_shape(rows, self.prefix + slots))
        git = self.reference.git
        with torch.no_grad():
            features = git.visual_projection(git.image_encoder(pictures).last_hidden_state)

        def logits(ids: list[int], row: int) -> torch.Tensor:
            return self.reference(torch.tensor([ids]), pixel_values=pictures[row : row + 1]).logits[0, -1]

        return DecoderSession(
            logits,
            self.cache_shape(rows, self.prefix + slots),
            self.cache_dtype,
            self.prefix,
            before=[Step("encoder", [pixels, cache], [features])],
            cache=golden.cache_of(0),
        )

    def sessions(self) -> list[list[Step]]:
        size = self.reference.config.vocab_size

        def ids(length: int, seed: int) -> list[int]:
            return tokens(size, length, seed)

        unequal = self.session(3, 16)
        unequal.advance(ids(5, 1), ids(1, 2), ids(3, 3)).advance(ids(1, 4), ids(1, 5), ids(1, 6))
        unequal.refill(1).advance(ids(1, 7), ids(4, 8), ids(1, 9))
        single = self.session(1, 5).advance(ids(1, 4)).advance(ids(1, 5)).advance(ids(3, 6))
        return [unequal.steps, single.steps]
