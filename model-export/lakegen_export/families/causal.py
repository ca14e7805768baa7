"""Causal language models: whatever `AutoModelForCausalLM` loads that keeps keys and values alone between tokens."""

import copy
import inspect
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from transformers import AutoModelForCausalLM

from .. import half_weights, linear
from .. import slots as slot
from ..golden import Step
from ..source import generation
from . import traits
from .base import Family, Graph
from .decoding import CacheLayout, DecoderSession, example_inputs, kept, tokens


class CausalDecoder(torch.nn.Module):
    """(input_ids, slots, last, cache) -> logits; shapes in `lakegen_export.slots`."""

    def __init__(self, model, context: int):
        super().__init__()
        self.model = model
        self.head = slot.Head(model)
        self.context = context
        self.first = traits.first_position(model)
        self.has_positions = "position_ids" in inspect.signature(model.forward).parameters
        # ALiBi counts the keys in a mask of ones; a bias that grows along the keys is the same for any first one.
        self.counts_mask = getattr(model.config, "alibi", False) or not self.has_positions

    def forward(self, input_ids, slots, last, cache):
        self.head.last = last
        options = {}
        if self.has_positions:
            options["position_ids"] = slot.positions(slots, 0, self.context) + self.first
        if self.counts_mask:
            options["attention_mask"] = torch.ones_like(cache[0, 0, :, 0, :, 0], dtype=torch.int64)
        past = slot.SlotCache(cache, slots)
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

    def graphs(self):
        model = copy.deepcopy(self.reference).to(self.dtype)
        slot.use(model)
        traits.prepare(model)
        if self.weights is not None:
            linear.replace(model, half_weights.HalfLinear)
        elif self.dtype == torch.float32:
            linear.replace(model, linear.layer)
        example = example_inputs(self.cache_shape(2, 8), self.cache_dtype)
        return {"decoder": Graph(CausalDecoder(model, self.context), example)}

    def manifest(self):
        return {
            "cache": self.layout.manifest(0),
            "generation": generation(self.reference.generation_config, self.context),
        }

    def logits(self, ids: list[int], _row: int) -> torch.Tensor:
        return self.reference(torch.tensor([ids])).logits[0, -1]

    def session(self, rows: int, slots: int) -> DecoderSession:
        return DecoderSession(self.logits, self.cache_shape(rows, slots), self.cache_dtype)

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
        for new in [prompt, *([token] for token in text[:-1])]:
            ids, slots = torch.tensor([new]), torch.arange(start, start + len(new))[None]
            with torch.no_grad():
                logits += decoder(input_ids=ids, slots=slots, last=torch.tensor([len(new) - 1]), cache=cache)
            start += len(new)
        return torch.cat(logits)
