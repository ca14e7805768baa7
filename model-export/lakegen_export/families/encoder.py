"""BERT-type encoders for sentence embeddings: BERT (MiniLM included), DistilBERT, RoBERTa, XLM-RoBERTa.

    model: input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding) -> hidden float32 [B, T, hidden]

Pooling over the tokens that the mask shows, and normalisation, are the caller's work.
"""

import copy
from typing import ClassVar

import torch
from transformers import AutoModel

from .. import golden
from ..golden import Step
from ..source import Pooling
from .base import Family, Graph
from .decoding import tokens


class _Model(torch.nn.Module):
    def __init__(self, model, offset: int | None):
        super().__init__()
        self.model = model
        self.offset = offset

    def forward(self, input_ids, attention_mask):
        options = {}
        if self.offset is not None:
            options["position_ids"] = attention_mask.cumsum(1) * attention_mask + self.offset
        # A ready mask: transformers leaves a mask out of the trace when the example has no padding.
        mask = attention_mask[:, None, None, :] > 0
        return self.model(input_ids=input_ids, attention_mask=mask, **options).last_hidden_state.float()


class Encoder(Family):
    task: ClassVar[str] = "feature-extraction"
    engines: ClassVar[tuple[str, ...]] = ("PyTorch", "OnnxRuntime")

    @staticmethod
    def load(source, **kwargs):
        return AutoModel.from_pretrained(source, dtype=torch.float32, attn_implementation="sdpa", **kwargs).eval()

    def __init__(self, reference, dtype, pooling: Pooling):
        super().__init__(reference, dtype)
        config = reference.config
        # RoBERTa counts positions from its padding token on, and recognises padding by that token;
        # here the mask tells, so that any token may pad.
        self.offset = config.pad_token_id if "roberta" in config.model_type else None
        self.context = config.max_position_embeddings - (self.offset + 1 if self.offset is not None else 0)
        self.pooling = pooling
        if pooling.max_length is not None:
            self.context = min(self.context, pooling.max_length)

    def graphs(self):
        inputs = {value["name"]: golden.tensor(value) for value in self.inputs([4, 2])}
        return {"model": Graph(_Model(copy.deepcopy(self.reference).to(self.dtype), self.offset), inputs)}

    def inputs(self, lengths: list[int]) -> list[dict]:
        longest = max(lengths)
        pad = self.reference.config.pad_token_id or 0
        usable = self.reference.config.vocab_size - pad - 1
        ids = [[pad + 1 + token for token in tokens(usable, length, row)] for row, length in enumerate(lengths)]
        padded = [row + [pad] * (longest - len(row)) for row in ids]
        mask = [[1] * length + [0] * (longest - length) for length in lengths]
        return [golden.data("input_ids", torch.tensor(padded)), golden.data("attention_mask", torch.tensor(mask))]

    def manifest(self):
        return {
            "pooling": self.pooling.mode,
            "normalize": self.pooling.normalize,
            "dimension": self.reference.config.hidden_size,
        }

    def sessions(self):
        found = []
        for lengths in ([7, 2, 5], [1], [12, 12, 3, 9]):
            values = self.inputs(lengths)
            with torch.no_grad():
                hidden = self.reference(*[golden.tensor(value) for value in values]).last_hidden_state
            found.append([Step("model", values, [hidden])])
        return found

    def embedding(self, ids: list[int]) -> torch.Tensor:
        """The pooled vector of one text [hidden], as sentence-transformers defines it."""
        with torch.no_grad():
            hidden = self.reference(torch.tensor([ids])).last_hidden_state[0]
        vector = {
            "mean": lambda: hidden.mean(0),
            "cls": lambda: hidden[0],
            "max": lambda: hidden.max(0).values,
            "lastToken": lambda: hidden[-1],
        }[self.pooling.mode]()
        return torch.nn.functional.normalize(vector, dim=0) if self.pooling.normalize else vector
