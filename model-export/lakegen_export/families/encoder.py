"""Encoders of BERT's type for sentence embeddings: BERT (MiniLM included), DistilBERT, RoBERTa, XLM-RoBERTa.

    model: input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding) -> hidden float32 [B, T, hidden]

Pooling over the tokens that the mask shows, and normalisation, are the caller's work.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers import AutoModel

from .. import golden
from ..golden import Step
from ..source import read_json
from .base import Family, Graph
from .decoding import tokens


@dataclass(frozen=True)
class Pooling:
    """How an encoder's hidden states become one vector."""

    mode: str
    normalize: bool
    max_length: int | None = None

    MODES: ClassVar[tuple[str, ...]] = ("mean", "cls", "max", "lastToken")

    def __str__(self) -> str:
        return self.mode

    @classmethod
    def read(cls, source: str) -> "Pooling | None":
        """From the files of a sentence-transformers model; None where there are none."""
        modules = read_json(source, "modules.json")
        if modules is None:
            return None
        kinds = {module["type"].rsplit(".", 1)[-1]: module["path"] for module in modules}
        unknown = set(kinds) - {"Transformer", "Pooling", "Normalize"}
        if unknown or "Pooling" not in kinds:
            raise ValueError(f"modules.json: {sorted(kinds)} (expected: Transformer, Pooling and perhaps Normalize)")
        config = read_json(source, f"{kinds['Pooling']}/config.json")
        names = {
            "pooling_mode_mean_tokens": "mean",
            "pooling_mode_cls_token": "cls",
            "pooling_mode_max_tokens": "max",
            "pooling_mode_lasttoken": "lastToken",
        }
        chosen = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        if len(chosen) != 1 or chosen[0] not in names:
            raise ValueError(f"{kinds['Pooling']}/config.json: {chosen} (expected: one of {', '.join(names)})")
        limits = read_json(source, "sentence_bert_config.json") or {}
        return cls(names[chosen[0]], "Normalize" in kinds, limits.get("max_seq_length"))


def call(model, offset: int | None, input_ids, attention_mask, **options):
    """Calls a model of BERT's type so that a trace holds for all shapes and any token may pad."""
    if offset is not None:
        options["position_ids"] = attention_mask.cumsum(1) * attention_mask + offset
    # A ready mask: transformers leaves a mask out of the trace when the example has no padding.
    mask = attention_mask[:, None, None, :] > 0
    return model(input_ids=input_ids, attention_mask=mask, **options)


class _Model(torch.nn.Module):
    def __init__(self, model, offset: int | None):
        super().__init__()
        self.model = model
        self.offset = offset

    def forward(self, input_ids, attention_mask):
        return call(self.model, self.offset, input_ids, attention_mask).last_hidden_state.float()


class BertType(Family):
    """What the families around such models share: padding and positions that the mask tells."""

    engines: ClassVar[tuple[str, ...]] = ("PyTorch", "OnnxRuntime")

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        config = reference.config
        if getattr(config, "is_decoder", False):
            raise ValueError("is_decoder: true (expected: false, tokens that see the whole text)")
        # RoBERTa counts positions from its padding token on, and recognises padding by that token;
        # here the mask tells, so that any token may pad.
        self.offset = config.pad_token_id if "roberta" in config.model_type else None
        self.context = config.max_position_embeddings - (self.offset + 1 if self.offset is not None else 0)

    @abstractmethod
    def answer(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The output of the reference for the inputs of the graph."""

    def inputs(self, lengths: list[int]) -> list[dict]:
        """Golden values for texts of these lengths in tokens."""
        longest = max(lengths)
        pad = self.reference.config.pad_token_id or 0
        usable = self.reference.config.vocab_size - pad - 1
        ids = [[pad + 1 + token for token in tokens(usable, length, row)] for row, length in enumerate(lengths)]
        padded = [row + [pad] * (longest - len(row)) for row in ids]
        mask = [[1] * length + [0] * (longest - length) for length in lengths]
        return [golden.data("input_ids", torch.tensor(padded)), golden.data("attention_mask", torch.tensor(mask))]

    def example(self) -> dict[str, torch.Tensor]:
        """Inputs to trace with."""
        return {value["name"]: golden.tensor(value) for value in self.inputs([4, 2])}

    def sessions(self):
        found = []
        for lengths in ([7, 2, 5], [1], [12, 12, 3, 9]):
            values = self.inputs(lengths)
            with torch.no_grad():
                found.append([Step("model", values, [self.answer(*map(golden.tensor, values))])])
        return found


class _PairModel(torch.nn.Module):
    def __init__(self, model, offset: int | None, types: bool, output: Callable[[Any], torch.Tensor]):
        super().__init__()
        self.model = model
        self.offset = offset
        self.types = types
        self.output = output

    def forward(self, input_ids, attention_mask, token_type_ids):
        options = {"token_type_ids": token_type_ids} if self.types else {}
        return self.output(call(self.model, self.offset, input_ids, attention_mask, **options)).float()


class PairType(BertType):
    """What the families share that read texts or pairs of texts and have a head of their own.

    model: input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding), token_type_ids int64 [B, T] as
           the tokenizer gives them (0: first text, 1: second; either at padding) -> `output`

    A model that transformers gives no token types ignores them; ONNX then drops this input.
    """

    types: bool

    @abstractmethod
    def output(self, found: Any) -> torch.Tensor:
        """The output of the graph, from what the model gives."""

    def takes_types(self, tokenizer: Any) -> bool:
        """Whether transformers' pipelines give token types to the model; ValueError where Java reads otherwise."""
        for side in ("truncation_side", "padding_side"):
            if getattr(tokenizer, side) != "right":
                raise ValueError(f"{side}: {getattr(tokenizer, side)} (expected: right)")
        given = "token_type_ids" in tokenizer.model_input_names
        return given and getattr(self.reference.config, "type_vocab_size", 1) > 1

    def pair_graph(self, outputs: dict[str, dict[int, str]]) -> dict[str, Graph]:
        model = copy.deepcopy(self.reference).to(self.dtype)
        return {"model": Graph(_PairModel(model, self.offset, self.types, self.output), self.example(), outputs)}

    def inputs(self, lengths):
        """Every other row is a pair."""
        longest = max(lengths)
        first = [length if row % 2 else length // 2 for row, length in enumerate(lengths)]
        types = [[0] * one + [1] * (longest - one) for one in first]
        return [*super().inputs(lengths), golden.data("token_type_ids", torch.tensor(types))]

    def answer(self, input_ids, attention_mask, token_type_ids):
        options = {"token_type_ids": token_type_ids} if self.types else {}
        return self.output(self.reference(input_ids, attention_mask=attention_mask, **options))


class Encoder(BertType):
    task: ClassVar[str] = "feature-extraction"
    options: ClassVar[tuple[str, ...]] = ("pooling",)
    # Heads of pretraining are dropped: sentence-transformers often starts from a checkpoint that has one.
    heads: ClassVar[tuple[str, ...]] = ("Model", "ForMaskedLM", "ForPreTraining")

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        pooling = request.pooling or Pooling.read(source)
        if pooling is None:
            raise ValueError(
                "pooling: unknown, the model has no modules.json of sentence-transformers "
                f"(expected: --pooling {' or '.join(Pooling.MODES)})"
            )
        return cls(cls.load(source, **kwargs), request.dtype, pooling)

    @staticmethod
    def load(source, **kwargs):
        return AutoModel.from_pretrained(source, dtype=torch.float32, attn_implementation="sdpa", **kwargs).eval()

    def __init__(self, reference, dtype, pooling: Pooling):
        super().__init__(reference, dtype)
        self.pooling = pooling
        if pooling.max_length is not None:
            self.context = min(self.context, pooling.max_length)

    def graphs(self):
        module = _Model(copy.deepcopy(self.reference).to(self.dtype), self.offset)
        return {"model": Graph(module, self.example(), {"last_hidden_state": {0: "batch", 1: "length"}})}

    def answer(self, input_ids, attention_mask):
        return self.reference(input_ids, attention_mask).last_hidden_state

    def section(self):
        return {
            "pooling": self.pooling.mode,
            "normalize": self.pooling.normalize,
            "dimension": self.reference.config.hidden_size,
        }

    def golden(self, texts):
        return {"embeddings": [{"text": one["text"], "values": self.embedding(one["ids"]).tolist()} for one in texts]}

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
