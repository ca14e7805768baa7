"""The supported architectures, by `model_type` of their configuration."""

from .base import Family, Graph
from .causal import Causal
from .git import Git

FAMILIES: dict[str, type[Family]] = {
    "git": Git,
    "gpt2": Causal,
    "llama": Causal,
    "mistral": Causal,
    "qwen2": Causal,
}

__all__ = ["FAMILIES", "Family", "Graph"]
