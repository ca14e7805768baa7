"""The supported architectures, by task and name."""

from collections.abc import Sequence

from .autoencoder import AutoencoderKl
from .base import Family, Graph
from .causal import Causal
from .classifier import Classifier
from .contract import CONTRACTS
from .diffusion import PIPELINES
from .encoder import Encoder
from .git import Git
from .text_cross import T5, Bart
from .vision_cross import Blip, VitGpt2

# An architecture's name is its `model_type`, of a diffusers pipeline Lakegen's own; it has a line for each task.
FAMILIES: dict[tuple[str, str], type[Family]] = {
    (family.task, name): family
    for name, family in (
        ("bart", Bart),
        ("bert", Encoder),
        ("bert", Classifier),
        ("blip", Blip),
        ("distilbert", Encoder),
        ("distilbert", Classifier),
        ("git", Git),
        ("gpt2", Causal),
        ("llama", Causal),
        ("mistral", Causal),
        ("qwen2", Causal),
        ("roberta", Encoder),
        ("roberta", Classifier),
        (AutoencoderKl.name, AutoencoderKl),
        *CONTRACTS.items(),
        *((family.name, family) for family in PIPELINES),
        ("t5", T5),
        ("vision-encoder-decoder", VitGpt2),
        ("xlm-roberta", Encoder),
        ("xlm-roberta", Classifier),
    )
}


def supported() -> list[str]:
    """Names of the architectures that can be exported."""
    return sorted({name for _, name in FAMILIES})


def choose(name: str, task: str | None, architectures: Sequence[str]) -> type[Family]:
    """The family that serves an architecture's `task`; ValueError with the choices where there is none.

    Without a task it is the only one, or else the one that the checkpoint was made for: `architectures` are the names
    of its model classes.
    """
    choices = {served: family for (served, served_name), family in FAMILIES.items() if served_name == name}
    if not choices:
        raise ValueError(f"model_type: {name} (expected: one of {', '.join(supported())})")
    expected = " or ".join(sorted(choices))
    if task is not None:
        if task not in choices:
            raise ValueError(f"task: {task} (expected: {expected} for {name})")
        return choices[task]
    found = list(choices.values())
    if len(found) > 1:
        classes = architectures or ["Model"]  # a checkpoint that names no class is a bare model
        found = [family for family in found if any(one.endswith(family.heads) for one in classes)]
    if len(found) != 1:
        raise ValueError(f"task: not given, architectures: {', '.join(architectures)} (expected: --task {expected})")
    return found[0]


__all__ = ["FAMILIES", "Family", "Graph", "choose", "supported"]
