"""What can be exported: any model that transformers loads for one of these tasks, and architectures of their own."""

from collections.abc import Sequence

from transformers.models.auto import modeling_auto as auto

from .answerer import Answerer
from .autoencoder import AutoencoderKl
from .base import Family, Graph
from .causal import Causal
from .classifier import Classifier
from .contract import CONTRACTS
from .dual import Dual
from .encoder import Encoder
from .git import Git
from .image_prefix import ImagePrefix
from .matching import Matcher
from .pipelines import PIPELINES
from .text_cross import Seq2Seq
from .vision import ImageClassifier, ImageEncoder
from .vision_cross import Blip, VisionEncoderDecoder

# An architecture's name is its `model_type`, of a diffusers pipeline Lakegen's own; it has a line for each task.
FAMILIES: dict[tuple[str, str], type[Family]] = {
    (family.task, name): family
    for name, family in (
        ("blip", Blip),
        ("blip", Matcher),
        ("clip", Dual),
        ("dinov2", ImageEncoder),
        ("git", Git),
        (AutoencoderKl.name, AutoencoderKl),
        *CONTRACTS.items(),
        *((family.name, family) for family in PIPELINES),
        ("siglip", Dual),
        ("vision-encoder-decoder", VisionEncoderDecoder),
    )
}

# Whatever these mappings of transformers load is wrapped by its task, where the architecture has no line above; the
# comparison with the untouched model tells whether it can be served.
GENERAL: tuple[tuple[type[Family], dict], ...] = (
    (Causal, auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    (Seq2Seq, auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES),
    (Encoder, auto.MODEL_MAPPING_NAMES),
    (Classifier, auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
    (Answerer, auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES),
    (ImageClassifier, auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES),
    (ImagePrefix, auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES),
)


def tasks() -> list[str]:
    """Tasks that some family serves."""
    return sorted({task for task, _ in FAMILIES} | {family.task for family, _ in GENERAL})


def families(name: str) -> dict[str, type[Family]]:
    """The families that may serve an architecture, by task."""
    own = {task: family for (task, owner), family in FAMILIES.items() if owner == name}
    if any(not family.heads for family in own.values()):
        return own  # made for this architecture
    return {family.task: family for family, names in GENERAL if name in names} | own


def choose(name: str, task: str | None, architectures: Sequence[str]) -> type[Family]:
    """The family that serves an architecture's `task`; ValueError with the choices where there is none.

    Without a task it is the only one, or else the one that the checkpoint was made for: `architectures` are the names
    of its model classes.
    """
    choices = families(name)
    if not choices:
        raise ValueError(f"model_type: {name} (expected: one that transformers loads for {' or '.join(tasks())})")
    expected = " or ".join(sorted(choices))
    if task is not None:
        if task not in choices:
            raise ValueError(f"task: {task} (expected: {expected} for {name})")
        return choices[task]
    if len(choices) == 1:
        return next(iter(choices.values()))
    found = {_made_for(one, choices) for one in architectures or [_usual(name)]}
    family = found.pop()
    if family is None or found:
        raise ValueError(f"task: not given, architectures: {', '.join(architectures)} (expected: --task {expected})")
    return family


def _made_for(architecture: str, choices: dict[str, type[Family]]) -> type[Family] | None:
    """The family with the longest ending of a model class's name; None if there is none or no single one."""
    endings = {
        family: [len(head) for head in family.heads if architecture.endswith(head)] for family in choices.values()
    }
    longest = max((max(lengths) for lengths in endings.values() if lengths), default=0)
    found = [family for family, lengths in endings.items() if longest in lengths]
    found = [family for family in found if family in FAMILIES.values()] or found
    return found[0] if len(found) == 1 else None


def _usual(name: str) -> str:
    """What a checkpoint that names no class, such as a GGUF file, was made for."""
    if name in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return "ForConditionalGeneration"
    masked = name in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "ForCausalLM" if name in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not masked else "Model"


__all__ = ["FAMILIES", "GENERAL", "Family", "Graph", "choose", "tasks"]
