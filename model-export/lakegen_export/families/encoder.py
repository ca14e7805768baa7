"""Encoders for sentence embeddings: whatever `AutoModel` loads and reads token ids and a mask.

    model: input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding)
           -> hidden float32 [B, T, hidden], zeros at padding
    attention: the same inputs -> hidden, weights float32 [B, T, T]: of each token for each token, mean of the heads of
           one layer, zeros at padding

Pooling over the tokens that the mask shows, and normalisation, are the caller's work. Causal models serve too, such as
those that pool the last token.
"""

import copy
import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx
import torch
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

from .. import golden, int8, onnx_graphs
from ..golden import Difference, Step
from ..source import GOLDEN_TEXTS, read_json
from . import attention, traits
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


def call(model, pad: int, input_ids, attention_mask, **options):
    """Calls a model so that a trace holds for all shapes and any token may pad.

    RoBERTa's kind counts positions by the tokens that aren't its own padding token, so that is what it is given.
    """
    ids = input_ids.masked_fill(attention_mask == 0, pad)
    return model(input_ids=ids, attention_mask=attention_mask, **options)


class _Model(torch.nn.Module):
    def __init__(self, model, pad: int):
        super().__init__()
        self.model = model
        self.pad = pad
        self.options = traits.without_cache(model)

    def forward(self, input_ids, attention_mask):
        hidden = call(self.model, self.pad, input_ids, attention_mask, **self.options).last_hidden_state
        return hidden.float() * attention_mask[:, :, None]


class _Attention(_Model):
    def __init__(self, model, pad: int, layer: int):
        super().__init__(model, pad)
        self.layer = layer

    def forward(self, input_ids, attention_mask):
        options = {**self.options, "output_attentions": True}
        found = call(self.model, self.pad, input_ids, attention_mask, **options)
        weights = found.attentions[self.layer].float().mean(1)
        shown = attention_mask[:, :, None]
        return found.last_hidden_state.float() * shown, weights * shown * attention_mask[:, None, :]


class BertType(Family):
    """What the families around such models share: padding, and the inputs that show what holds."""

    engines: ClassVar[tuple[str, ...]] = ("PyTorch", "OnnxRuntime")

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        traits.use_whole_attention(reference)
        config = reference.config.get_text_config()
        self.pad = config.pad_token_id or 0
        self.vocabulary = config.vocab_size
        self.context = traits.context(config) - traits.first_position(reference)

    @abstractmethod
    def answer(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The output of the reference for the inputs of the graph."""

    def inputs(self, lengths: list[int]) -> list[dict]:
        """Golden values for texts of these lengths in tokens."""
        longest = max(lengths)
        usable = self.vocabulary - 1
        rows = [
            [token + (token >= self.pad) for token in tokens(usable, size, row)] for row, size in enumerate(lengths)
        ]
        padded = [row + [self.pad] * (longest - len(row)) for row in rows]
        mask = [[1] * length + [0] * (longest - length) for length in lengths]
        return [golden.data("input_ids", torch.tensor(padded)), golden.data("attention_mask", torch.tensor(mask))]

    def example(self) -> dict[str, torch.Tensor]:
        """Inputs to trace with."""
        return {value["name"]: golden.tensor(value) for value in self.inputs([4, 2])}

    def sessions(self):
        shapes = {
            "texts of unequal length": [7, 2, 5],
            "a text alone": [1],
            "larger batches": [12, 12, 3, 9],
        }
        for length in traits.windows(self.reference.config, self.context):
            shapes["texts longer than its attention window"] = [length, 3]
        found = []
        for shows, lengths in shapes.items():
            values = self.inputs(lengths)
            with torch.no_grad():
                answer = self.answer(*map(golden.tensor, values))
            found.append([Step("model", values, [answer], shows)])
        return found


class _PairModel(torch.nn.Module):
    def __init__(self, model, pad: int, types: bool, output: Callable[[Any], torch.Tensor]):
        super().__init__()
        self.model = model
        self.pad = pad
        self.types = types
        self.output = output
        self.options = traits.without_cache(model)

    def forward(self, input_ids, attention_mask, token_type_ids):
        options = {"token_type_ids": token_type_ids, **self.options} if self.types else self.options
        found = self.output(call(self.model, self.pad, input_ids, attention_mask, **options)).float()
        return found * attention_mask[:, None, :] if found.dim() > 2 else found


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
        model = copy.deepcopy(self.reference).to(self.traced)
        return {"model": Graph(_PairModel(model, self.pad, self.types, self.output), self.example(), outputs)}

    def inputs(self, lengths):
        """Every other row is a pair."""
        longest = max(lengths)
        first = [length if row % 2 else length // 2 for row, length in enumerate(lengths)]
        types = [[0] * one + [1] * (longest - one) for one in first]
        return [*super().inputs(lengths), golden.data("token_type_ids", torch.tensor(types))]

    def answer(self, input_ids, attention_mask, token_type_ids):
        # Each alone, and zeros at padding where there is an output for each token.
        rows = []
        for ids, mask, types in zip(input_ids, attention_mask, token_type_ids, strict=True):
            length = int(mask.sum())
            options = {"token_type_ids": types[None, :length]} if self.types else {}
            row = self.output(self.reference(input_ids=ids[None, :length], **options)).float()
            rows.append(torch.nn.functional.pad(row, (0, len(ids) - length)) if row.dim() > 2 else row)
        return torch.cat(rows)


class Encoder(BertType):
    task: ClassVar[str] = "feature-extraction"
    options: ClassVar[tuple[str, ...]] = ("pooling", "attention_layer")
    int8: ClassVar[bool] = True
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
        texts = [tokenizer(text)["input_ids"] for text in GOLDEN_TEXTS]
        return cls(cls.load(source, **kwargs), request.dtype, pooling, request.attention_layer, texts)

    @staticmethod
    def load(source, **kwargs):
        config = AutoConfig.from_pretrained(source, **kwargs)
        # Of an encoder-decoder the encoder is wanted, where transformers has it alone.
        loader = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
        model = loader.from_pretrained(source, dtype=torch.float32, **kwargs).eval()
        if "input_ids" not in inspect.signature(model.forward).parameters:
            raise ValueError(f"model: {type(model).__name__} (expected: an encoder of texts, which reads input_ids)")
        return model

    def __init__(
        self, reference, dtype, pooling: Pooling, attention_layer: int | None = None, texts: Sequence[list[int]] = ()
    ):
        super().__init__(reference, dtype)
        self.pooling = pooling
        self.texts = texts
        self.layer = attention_layer
        if attention_layer is not None:
            self.eager = attention.eager(reference)
            with torch.no_grad():
                found = self.eager(input_ids=torch.tensor([[1, 2]]), output_attentions=True)
            attention.check(attention_layer, reference, found)
        if pooling.max_length is not None:
            self.context = min(self.context, pooling.max_length)

    def graphs(self):
        hidden = {"last_hidden_state": {0: "batch", 1: "length"}}
        module = _Model(copy.deepcopy(self.reference).to(self.traced), self.pad)
        found = {"model": Graph(module, self.example(), hidden)}
        if self.layer is not None:
            module = _Attention(copy.deepcopy(self.eager).to(self.traced), self.pad, self.layer)
            outputs = {**hidden, "attention": {0: "batch", 1: "length", 2: "length"}}
            found["attention"] = Graph(module, self.example(), outputs)
        return found

    def sessions(self):
        found = super().sessions()
        if self.layer is not None:
            for steps in found:
                values = steps[0].inputs
                weights = self.weights(*map(golden.tensor, values))
                steps.append(Step("attention", values, [*steps[0].outputs, weights], steps[0].shows))
        return found

    def weights(self, input_ids, attention_mask) -> torch.Tensor:
        """[B, T, T]: the weights of the layer in each row alone, mean of the heads, zeros at padding."""
        rows = []
        for ids, mask in zip(input_ids, attention_mask, strict=True):
            length = int(mask.sum())
            with torch.no_grad():
                found = self.eager(input_ids=ids[None, :length], output_attentions=True)
            weights = found.attentions[self.layer][0].mean(0)
            rows.append(torch.nn.functional.pad(weights, (0, len(ids) - length) * 2))
        return torch.stack(rows)

    def answer(self, input_ids, attention_mask):
        # Each alone: what a model makes of padding is its own affair, and hidden from who pools.
        rows = []
        for ids, mask in zip(input_ids, attention_mask, strict=True):
            length = int(mask.sum())
            hidden = self.reference(input_ids=ids[None, :length]).last_hidden_state[0].float()
            rows.append(torch.nn.functional.pad(hidden, (0, 0, 0, len(ids) - length)))
        return torch.stack(rows)

    def section(self):
        section = {
            "pooling": self.pooling.mode,
            "normalize": self.pooling.normalize,
            "dimension": self.reference.config.get_text_config().hidden_size,
        }
        return section if self.layer is None else {**section, "attentionLayer": self.layer}

    def golden(self, texts):
        return {"embeddings": [{"text": one["text"], "values": self.embedding(one["ids"]).tolist()} for one in texts]}

    def embedding(self, ids: list[int]) -> torch.Tensor:
        """The pooled vector of one text [hidden], as sentence-transformers defines it."""
        with torch.no_grad():
            return self.pool(self.reference(input_ids=torch.tensor([ids])).last_hidden_state[0])

    def pool(self, hidden: torch.Tensor) -> torch.Tensor:
        """The vector [hidden] of a text's hidden states [T, hidden]."""
        vector = {
            "mean": lambda: hidden.mean(0),
            "cls": lambda: hidden[0],
            "max": lambda: hidden.max(0).values,
            "lastToken": lambda: hidden[-1],
        }[self.pooling.mode]()
        return torch.nn.functional.normalize(vector, dim=0) if self.pooling.normalize else vector

    def quantise(self, file):
        samples = [{"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), int)} for ids in self.texts]
        expected = [self.embedding(ids) for ids in self.texts]
        difference = Difference()

        def cosine(model: onnx.ModelProto) -> float:
            nonlocal difference
            difference = Difference()
            graph = onnx_graphs.run(int8.session(model))
            found = [self.pool(graph(**{n: torch.from_numpy(v) for n, v in row.items()})[0][0]) for row in samples]
            for one, other in zip(found, expected, strict=True):
                difference.add(one, other)
            return torch.nn.functional.cosine_similarity(torch.stack(found), torch.stack(expected)).mean().item()

        quantised = int8.quantise(onnx.load(file), samples, cosine)
        onnx.save(quantised.model, file)
        return quantised, difference
