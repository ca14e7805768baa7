"""What a family gives the exporter."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from tokenizers import normalizers
from transformers.activations import QuickGELUActivation

from ..golden import Difference, Graphs, Step
from ..int8 import Quantised

if TYPE_CHECKING:
    from ..export import Request


@dataclass
class Graph:
    """A module to trace, with its inputs by name in the order of its `forward`.

    ONNX alone needs `outputs`: their names, each with the axes whose size the inputs decide.
    """

    module: torch.nn.Module
    example: dict[str, torch.Tensor]
    outputs: dict[str, dict[int, str]] = field(default_factory=dict)


class Family(ABC):
    """One architecture: wraps a loaded model for tracing and knows how to ask the untouched model for the truth.

    `reference` stays in float32 and as transformers made it; `dtype` is the dtype of the pack.
    """

    task: ClassVar[str]
    engines: ClassVar[tuple[str, ...]] = ("PyTorch",)
    images: ClassVar[bool] = False
    texts: ClassVar[bool] = True
    """Whether it has a tokenizer."""

    measured: ClassVar[bool] = True
    """Whether its speed in each dtype can be compared, for `--dtype auto`."""

    int8: ClassVar[bool] = False
    """Whether it can `quantise` its ONNX graph."""

    tokenizer_folder: ClassVar[str] = ""
    """Where in the model's folder its tokenizer lies."""

    options: ClassVar[tuple[str, ...]] = ()
    """The fields of a request that only some families take, of those this one."""

    heads: ClassVar[tuple[str, ...]] = ()
    """How the model classes end whose checkpoints are for this family, where its architecture has other tasks too."""

    context: int
    """Longest sequence in tokens, of a family with a tokenizer."""

    device: torch.device = torch.device("cpu")
    """Where the reference is, and where graphs are traced and compared with it."""

    def __init__(self, reference: Any, dtype: torch.dtype):
        self.reference = reference
        self.dtype = dtype

    @property
    def traced(self) -> torch.dtype:
        """The dtype of the traced copy: int8 is made of the float32 graph."""
        return torch.float32 if self.dtype == torch.int8 else self.dtype

    @property
    def precision(self) -> torch.dtype:
        """The dtype by whose rounding the graphs may differ from the reference."""
        return self.traced

    @property
    def cache_dtype(self) -> torch.dtype:
        """bfloat16 packs keep a float32 cache, since DJL can't hold bfloat16 arrays."""
        return torch.float16 if self.dtype == torch.float16 else torch.float32

    @classmethod
    def build(cls, request: "Request", source: str, tokenizer: Any, **kwargs) -> Self:
        """The family around the model at `source`, a folder or hub id; ValueError where it can't be served.

        `tokenizer` is None where the family has none.
        """
        return cls(cls.load(source, **kwargs), request.dtype)

    @staticmethod
    @abstractmethod
    def load(source: str, **kwargs) -> Any:
        """The reference model in float32."""

    @abstractmethod
    def graphs(self) -> dict[str, Graph]:
        """Modules by role, the key of `graphs` in `pack.json`."""

    def manifest(self) -> dict:
        """Keys of `pack.json` that hold for all its tasks: `cache`, `generation`, `image`."""
        return {}

    def section(self) -> dict:
        """The task's section in `tasks` of `pack.json`."""
        return {}

    def chat_template(self) -> str | None:
        """What stands around a user's text, marked `{prompt}`, where it isn't the tokenizer's own template."""
        return None

    def golden(self, texts: list[dict]) -> dict:
        """More keys of `golden.json`; `texts` are its tokenizer's, each with `text` and `ids`."""
        return {}

    def quantise(self, file: Path) -> tuple[Quantised, Difference]:
        """Puts int8 in the place of the graph `model` in an ONNX file; ValueError where it would answer too badly.

        Gives the difference of the answers to the golden texts from the reference's.
        """
        raise NotImplementedError

    def agreement(self, _graphs: Graphs, _prompts: list[list[int]]) -> str | None:
        """How well graphs of less precision than float32 write, in a sentence; ValueError where it is too badly.

        `prompts` are token ids of some texts.
        """
        return None

    @abstractmethod
    def sessions(self) -> list[list[Step]]:
        """Golden session first, then sessions of other shapes; outputs come from `reference`."""


def load_trained(auto: Any, purpose: str, source: str, **kwargs) -> Any:
    """A model in float32 by one of transformers' Auto classes; ValueError where the checkpoint lacks its head.

    transformers itself goes on with random weights in their place. `purpose` is what such a model was trained for.
    """
    model, found = auto.from_pretrained(
        source, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs
    )
    unfit = sorted({*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])})
    if unfit:
        raise ValueError(
            f"weights: {', '.join(unfit)} missing or of another shape (expected: a model trained to {purpose})"
        )
    return model.eval()


def names(config: Any) -> list[str]:
    """The names of a classifier's labels in the order of its logits; ValueError where one has none."""
    labels = [config.id2label.get(number) for number in range(config.num_labels)]
    if not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"id2label: {config.id2label} (expected: a name for each of the ids 0, 1, 2 ...)")
    return labels


def fold_quick_gelu(model: torch.nn.Module) -> None:
    """Makes quick GELU, x sigmoid(1.702 x), of the MLPs of CLIP's kind a SiLU, in place.

    It is SiLU(1.702 x) / 1.702, and both factors go into the linear layers around it: one pass over the widest
    activations where there were three.
    """
    for module in model.modules():
        if isinstance(getattr(module, "activation_fn", None), QuickGELUActivation) and hasattr(module, "fc2"):
            with torch.no_grad():
                module.fc1.weight *= 1.702
                module.fc1.bias *= 1.702
                module.fc2.weight /= 1.702
            module.activation_fn = torch.nn.SiLU()


def lower(tokenizer: Any) -> None:
    """Has a tokenizer strip its texts and make them lower case first, as some pipelines of diffusers do."""
    own = tokenizer.backend_tokenizer.normalizer
    plain = [normalizers.Strip(), normalizers.Lowercase(), *([] if own is None else [own])]
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(plain)
