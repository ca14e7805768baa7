"""Classifiers of texts and pairs of texts: whatever `AutoModelForSequenceClassification` loads.

    model: input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding), token_type_ids int64 [B, T] as
           the tokenizer gives them (0: first text, 1: second; either at padding) -> logits float32 [B, labels]

The caller makes scores of the logits by the section's `function`: "softmax" over a row, "sigmoid" of each, or "none".
A model that transformers gives no token types ignores them; ONNX then drops this input.
"""

import copy
from typing import ClassVar

import torch
from transformers import AutoModelForSequenceClassification

from .. import golden
from . import traits
from .base import Graph
from .encoder import BertType, call


class _Classifier(torch.nn.Module):
    def __init__(self, model, pad: int, types: bool):
        super().__init__()
        self.model = model
        self.pad = pad
        self.types = types
        self.options = traits.without_cache(model)

    def forward(self, input_ids, attention_mask, token_type_ids):
        options = {"token_type_ids": token_type_ids, **self.options} if self.types else self.options
        return call(self.model, self.pad, input_ids, attention_mask, **options).logits.float()


class Classifier(BertType):
    task: ClassVar[str] = "text-classification"
    heads: ClassVar[tuple[str, ...]] = ("ForSequenceClassification",)

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        return cls(cls.load(source, **kwargs), request.dtype, tokenizer)

    @staticmethod
    def load(source, **kwargs):
        model, found = AutoModelForSequenceClassification.from_pretrained(
            source,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **kwargs,
        )
        # transformers goes on with random weights in their place.
        unfit = sorted({*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])})
        if unfit:
            raise ValueError(
                f"weights: {', '.join(unfit)} missing or of another shape (expected: a model trained to classify texts)"
            )
        return model.eval()

    def __init__(self, reference, dtype, tokenizer):
        super().__init__(reference, dtype)
        config = reference.config
        self.labels = [config.id2label.get(number) for number in range(config.num_labels)]
        if not self.labels or not all(isinstance(label, str) for label in self.labels):
            raise ValueError(f"id2label: {config.id2label} (expected: a name for each of the ids 0, 1, 2 ...)")
        if tokenizer.truncation_side != "right":
            raise ValueError(f"truncation_side: {tokenizer.truncation_side} (expected: right)")
        self.types = "token_type_ids" in tokenizer.model_input_names and getattr(config, "type_vocab_size", 1) > 1

    def graphs(self):
        module = _Classifier(copy.deepcopy(self.reference).to(self.dtype), self.pad, self.types)
        return {"model": Graph(module, self.example(), {"logits": {0: "batch"}})}

    def inputs(self, lengths):
        """Every other row is a pair."""
        longest = max(lengths)
        first = [length if row % 2 else length // 2 for row, length in enumerate(lengths)]
        types = [[0] * one + [1] * (longest - one) for one in first]
        return [*super().inputs(lengths), golden.data("token_type_ids", torch.tensor(types))]

    def answer(self, input_ids, attention_mask, token_type_ids):
        rows = []
        for ids, mask, types in zip(input_ids, attention_mask, token_type_ids, strict=True):
            length = int(mask.sum())
            options = {"token_type_ids": types[None, :length]} if self.types else {}
            rows.append(self.reference(input_ids=ids[None, :length], **options).logits.float())
        return torch.cat(rows)

    def section(self):
        return {"labels": self.labels, "function": self.function()}

    def function(self) -> str:
        """What TextClassificationPipeline.postprocess of transformers applies when its caller names none."""
        config = self.reference.config
        if config.problem_type == "regression":
            return "none"
        if config.problem_type == "multi_label_classification" or config.num_labels == 1:
            return "sigmoid"
        return "softmax"
