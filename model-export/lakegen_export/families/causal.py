"""Causal language models: whatever `AutoModelForCausalLM` loads that keeps keys and values alone between tokens."""

import contextlib
import copy
import functools
import inspect
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from transformers import AutoModelForCausalLM

from .. import golden, graphs, half_weights, linear
from .. import slots as slot
from ..golden import Step
from ..source import generation
from . import traits
from .base import Family, Graph
from .decoding import CacheLayout, DecoderSession, example_inputs, kept, tokens


class CausalDecoder(torch.nn.Module):
    """(input_ids, slots, last, cache) -> logits, a common prefix after `cache` or not; shapes in `slots`."""

    def __init__(self, model, context: int):
        super().__init__()
        self.model = model
        self.head = slot.Head(model)
        self.context = context
        self.first = traits.first_position(model)
        self.has_positions = "position_ids" in inspect.signature(model.forward).parameters
        # ALiBi counts the keys in a mask of ones; a bias that grows along the keys is the same for any first one.
        self.counts_mask = getattr(model.config, "alibi", False) or not self.has_positions

    def forward(self, input_ids, slots, last, cache, *common):
        self.head.last = last
        options = {}
        places = slots + common[2][:, None] if common else slots
        if self.has_positions:
            options["position_ids"] = slot.positions(places, 0, self.context) + self.first
        if self.counts_mask:
            options["attention_mask"] = torch.ones_like(cache[0, 0, :, 0, :, 0], dtype=torch.int64)
        past = slot.SlotCache(cache, slots)
        with slot.CommonPrefix(*common).used() if common else contextlib.nullcontext():
            return self.model(input_ids=input_ids, past_key_values=past, use_cache=True, **options).logits[:, 0].float()


WRITTEN = 32
"""Tokens that the reference writes after each prompt for `agreement`."""

MOST_PERPLEXITY = 1.05
"""How many times the reference's a pack's perplexity may be."""


class Causal(Family):
    task: ClassVar[str] = "text-generation"
    options: ClassVar[tuple[str, ...]] = ("weights",)
    heads: ClassVar[tuple[str, ...]] = ("ForCausalLM", "LMHeadModel")

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        return cls(cls.load(source, **kwargs), request.dtype, request.weights)

    def __init__(self, reference, dtype, weights: torch.dtype | None = None):
        """`weights`: float16 keeps those of linear layers in it, whatever the dtype of the arithmetic."""
        super().__init__(reference, dtype)
        self.weights = weights
        traits.use_whole_attention(reference)
        self.context = traits.context(reference.config) - traits.first_position(reference)
        self.layout = CacheLayout.of(self._cache())

    def _cache(self):
        """What the reference keeps of two tokens."""
        with torch.no_grad():
            return kept(self.reference(torch.tensor([tokens(self.vocabulary, 2, 1)]), use_cache=True))

    @property
    def precision(self):
        return self.weights or self.dtype

    @property
    def vocabulary(self) -> int:
        return self.reference.config.get_text_config().vocab_size

    def cache_shape(self, rows: int, slots: int) -> tuple[int, ...]:
        return self.layout.shape(rows, slots)

    @functools.cached_property
    def takes_common_prefix(self) -> bool:
        """Whether all layers attend to all tokens before, by a kind of attention that can go over a prefix first."""
        if traits.has_windows(self.reference.config, self.context):
            return False
        decoder = CausalDecoder(self._copy(torch.float32), self.context)
        if not decoder.has_positions or decoder.counts_mask:
            return False
        prefix = slot.CommonPrefix(*map(golden.tensor, self._empty_prefix(1)))
        try:
            with torch.no_grad(), prefix.used():
                decoder(**example_inputs(self.cache_shape(1, 8), torch.float32))
        except graphs.ERRORS:
            return False  # tracing it says why
        return len(prefix.layers) == self.layout.layers

    def _empty_prefix(self, rows: int) -> list[dict]:
        layers, heads, size = self.layout.layers, self.layout.heads, self.layout.size
        return [
            golden.zeros("common_keys", torch.float32, (layers, heads, 0, size)),
            golden.zeros("common_values", torch.float32, (layers, heads, size, 0)),
            golden.zeros("offset", torch.int64, (rows,)),
        ]

    def _copy(self, dtype: torch.dtype):
        model = copy.deepcopy(self.reference).to(dtype)
        slot.use(model)
        traits.prepare(model)
        return model

    def graphs(self):
        model = self._copy(self.dtype)
        if self.weights is not None:
            linear.replace(model, half_weights.HalfLinear)
        elif self.dtype in (torch.float32, torch.bfloat16):
            linear.replace(model, linear.layer)
        example = example_inputs(self.cache_shape(2, 8), self.cache_dtype)
        example |= {value["name"]: golden.tensor(value) for value in self._context(2)}
        return {"decoder": Graph(CausalDecoder(model, self.context), example)}

    def manifest(self):
        return {
            "cache": self.layout.manifest(0) | ({"commonPrefix": True} if self._context(1) else {}),
            "generation": generation(self.reference.generation_config, self.context),
        }

    def logits(self, ids: list[int], _row: int) -> torch.Tensor:
        return self.reference(torch.tensor([ids])).logits[0, -1]

    def session(self, rows: int, slots: int) -> DecoderSession:
        shape = self.cache_shape(rows, slots)
        return DecoderSession(self.logits, shape, self.cache_dtype, context=self._context(rows))

    def _context(self, rows: int) -> list[dict]:
        """Inputs of the graph after the cache, without a common prefix."""
        return self._empty_prefix(rows) if self.cache_dtype == torch.float32 and self.takes_common_prefix else []

    def behind(self, prefix: list[int], follow: list[bool], slots: int) -> DecoderSession:
        """A session whose rows, one for each of `follow`, go on from a common prefix or don't."""
        with torch.no_grad():
            layers = kept(self.reference(torch.tensor([prefix]), use_cache=True)).layers
        keys = torch.cat([layer.keys for layer in layers])
        values = torch.cat([layer.values for layer in layers]).transpose(2, 3)
        offset = torch.tensor([len(prefix) * follows for follows in follow])
        inputs = [golden.data(*v) for v in (("common_keys", keys), ("common_values", values), ("offset", offset))]

        def logits(ids: list[int], row: int) -> torch.Tensor:
            return self.logits([*prefix, *ids] if follow[row] else ids, row)

        return DecoderSession(logits, self.cache_shape(len(follow), slots), self.cache_dtype, context=inputs)

    def sessions(self) -> list[list[Step]]:
        def ids(length: int, seed: int) -> list[int]:
            return tokens(self.vocabulary, length, seed)

        unequal = self.session(3, 32)
        unequal.advance(ids(5, 1), ids(1, 2), ids(3, 3)).advance(ids(1, 4), ids(1, 5), ids(1, 6))
        unequal.refill(1).advance(ids(1, 7), ids(4, 8), ids(1, 9)).advance(ids(1, 1), ids(1, 2), ids(1, 3))
        single = self.session(1, 6).advance(ids(1, 4)).advance(ids(1, 5)).advance(ids(4, 6))
        wide = self.session(4, 40).advance(ids(7, 1), ids(12, 2), ids(2, 3), ids(9, 4))
        wide.advance(*[ids(1, seed) for seed in range(4)])
        found = [unequal, single, wide]
        for length in traits.windows(self.reference.config, self.context):
            long = self.session(1, length + 32).advance(ids(length, 1), shows="texts longer than its attention window")
            found.append(long.advance(ids(1, 2), shows="texts longer than its attention window"))
        if self._context(1):
            shows = "rows that follow a common prefix"
            behind = self.behind(ids(19, 1), [True, False, True], 16)
            behind.advance(ids(5, 2), ids(7, 3), ids(1, 4), shows=shows).advance(*[ids(1, 5)] * 3, shows=shows)
            found.append(behind)
        return [session.steps for session in found]

    def agreement(self, graphs, prompts):
        agreed, tokens, own, expected = 0, 0, 0.0, 0.0
        for prompt in prompts:
            start = prompt[: self.context // 2]
            written, reference = self._write(start, min(WRITTEN, self.context - len(start)))
            logits = self._read(graphs["decoder"], start, written)
            target = torch.tensor(written)
            agreed += int((logits.argmax(1) == target).sum())
            tokens += len(written)
            own += torch.nn.functional.cross_entropy(logits, target, reduction="sum").item()
            expected += torch.nn.functional.cross_entropy(reference, target, reduction="sum").item()
        perplexity = math.exp((own - expected) / tokens)
        said = f"perplexity {perplexity:.3f} times that of float32"
        if not perplexity <= MOST_PERPLEXITY:
            raise ValueError(f"decoder: {said} (expected: at most {MOST_PERPLEXITY} times)")
        return f"decoder: of {tokens} tokens that the model writes in float32 {agreed} are its choice, {said}"

    def _write(self, prompt: list[int], count: int) -> tuple[list[int], torch.Tensor]:
        """What the reference writes after a prompt, greedily, and its logits [count, V]."""
        written, logits, past, new = [], [], None, prompt
        with torch.no_grad():
            for _ in range(count):
                output = self.reference(torch.tensor([new]), past_key_values=past, use_cache=True)
                past = output.past_key_values
                logits.append(output.logits[0, -1].float())
                new = [int(logits[-1].argmax())]
                written += new
        return written, torch.stack(logits)

    def _read(self, decoder: Callable[..., list[torch.Tensor]], prompt: list[int], text: list[int]) -> torch.Tensor:
        """The graph's logits [len(text), V] for each token of a text that follows a prompt."""
        logits, start = [], 0
        cache = torch.zeros(self.cache_shape(1, len(prompt) + len(text)), dtype=self.cache_dtype)
        common = {value["name"]: golden.tensor(value) for value in self._context(1)}
        for new in [prompt, *([token] for token in text[:-1])]:
            ids, slots = torch.tensor([new]), torch.arange(start, start + len(new))[None]
            with torch.no_grad():
                last = torch.tensor([len(new) - 1])
                logits += decoder(input_ids=ids, slots=slots, last=last, cache=cache, **common)
            start += len(new)
        return torch.cat(logits)
