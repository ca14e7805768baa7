"""Classifiers of texts and pairs of texts: whatever `AutoModelForSequenceClassification` loads.

    model: as for pairs of texts (`PairType`) -> logits float32 [B, labels]

The caller makes scores of the logits by the section's `function`: "softmax" over a row, "sigmoid" of each, or "none".
"""

from typing import ClassVar

from transformers import AutoModelForSequenceClassification

from .base import load_trained, names
from .encoder import PairType


class Classifier(PairType):
    task: ClassVar[str] = "text-classification"
    heads: ClassVar[tuple[str, ...]] = ("ForSequenceClassification",)

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        return cls(cls.load(source, **kwargs), request.dtype, tokenizer)

    @staticmethod
    def load(source, **kwargs):
        return load_trained(AutoModelForSequenceClassification, "classify texts", source, **kwargs)

    def __init__(self, reference, dtype, tokenizer):
        super().__init__(reference, dtype)
        self.labels = names(reference.config)
        self.types = self.takes_types(tokenizer)

    def graphs(self):
        return self.pair_graph({"logits": {0: "batch"}})

    def output(self, found):
        return found.logits

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
