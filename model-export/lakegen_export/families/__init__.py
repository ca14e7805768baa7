"""The supported architectures, by `model_type` of their configuration."""

from .base import Family, Graph
from .causal import Causal
from .encoder import Encoder
from .git import Git
from .text_cross import T5, Bart
from .vision_cross import Blip, VitGpt2

FAMILIES: dict[str, type[Family]] = {
    "bart": Bart,
    "bert": Encoder,
    "distilbert": Encoder,
    "roberta": Encoder,
    "xlm-roberta": Encoder,
    "blip": Blip,
    "git": Git,
    "gpt2": Causal,
    "llama": Causal,
    "mistral": Causal,
    "qwen2": Causal,
    "t5": T5,
    "vision-encoder-decoder": VitGpt2,
}

__all__ = ["FAMILIES", "Family", "Graph"]
