"""Models that find answers in texts, of BERT's type: BERT, DistilBERT, RoBERTa.

    model: as for pairs of texts (`PairType`), a question and a part of its context
           -> logits float32 [B, 2, T], those of an answer's first token and those of its last

The caller cuts a long context into parts that overlap, and finds the best spans, as transformers' pipeline does it.
"""

from typing import ClassVar

import torch
from transformers import AutoModelForQuestionAnswering

from .base import load_trained
from .encoder import PairType


class Answerer(PairType):
    task: ClassVar[str] = "question-answering"
    heads: ClassVar[tuple[str, ...]] = ("ForQuestionAnswering",)

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        return cls(cls.load(source, **kwargs), request.dtype, tokenizer)

    @staticmethod
    def load(source, **kwargs):
        return load_trained(
            AutoModelForQuestionAnswering, "answer questions", source, attn_implementation="sdpa", **kwargs
        )

    def __init__(self, reference, dtype, tokenizer):
        super().__init__(reference, dtype)
        self.types = self.takes_types(tokenizer)
        self.cls = tokenizer.cls_token_id

    def graphs(self):
        return self.pair_graph({"logits": {0: "batch", 2: "length"}})

    def output(self, found):
        return torch.stack([found.start_logits, found.end_logits], dim=1)

    def section(self):
        """The token whose logits stand for "there is no answer"."""
        return {} if self.cls is None else {"cls": self.cls}
