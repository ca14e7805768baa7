"""Merges LoRA weights (arXiv 2106.09685) into the models of a pipeline."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers.loaders import StableDiffusionXLLoraLoaderMixin

_OLD = re.compile(r"(?:processor\.)?(to_[qkv]|to_out)_lora\.")
_OLD_TEXT = re.compile(r"self_attn\.to_([qkv]|out)_lora\.")
_PAIR = re.compile(r"(\w+\..+)\.(?:lora_|lora\.|lora_linear_layer\.)(A|B|down|up)\.weight")


@dataclass(frozen=True)
class Lora:
    """A file of LoRA weights, or a folder or hub id with one, and how much of them is added."""

    source: str
    scale: float = 1.0


def merge(models: Mapping[str, torch.nn.Module], lora: Lora) -> None:
    """Adds to each weight what the file has for it; ValueError where it has something for no weight.

    A layer's update is B A times alpha / rank, and times the scale; without an alpha it is the rank. `models` go by
    their names in the pipeline, which the file's keys begin with, and are changed in place.
    """
    state, found = StableDiffusionXLLoraLoaderMixin.lora_state_dict(lora.source, unet_config=models["unet"].config)
    alphas = {_layer_name(key.removesuffix(".alpha")): alpha for key, alpha in (found or {}).items()}
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    strange = []
    for key, value in state.items():
        pair = _PAIR.fullmatch(_modern(key))
        if pair is None or pair[1].partition(".")[0] not in models:
            strange.append(key)
        else:
            pairs.setdefault(pair[1], {})[{"down": "A", "up": "B"}.get(pair[2], pair[2])] = value.float()
    if strange or not pairs:
        raise ValueError(f"lora: {', '.join(strange[:3]) or 'no weights'} (expected: weights of {', '.join(models)})")
    for name, pair in pairs.items():
        model, _, path = name.partition(".")
        layer = _layer(models[model], path)
        if layer is None or pair.keys() != {"A", "B"}:
            raise ValueError(f"lora: {name} (expected: a pair of weights for a layer of the model)")
        down, up = pair["A"], pair["B"]
        rank = down.shape[0]
        # Of convolutions, the second one is of one pixel.
        update = torch.einsum("orij,rchw->ochw", up, down) if down.dim() == 4 else up @ down
        with torch.no_grad():
            layer.weight += lora.scale * float(alphas.get(name, rank)) / rank * update.reshape(layer.weight.shape)


def _modern(key: str) -> str:
    """A key as if the weights were of layers beside the model's own, and not of attention processors."""
    key = _OLD_TEXT.sub(lambda old: f"self_attn.{old[1]}_proj.lora.", key)
    return _OLD.sub(lambda old: f"{old[1]}{'.0' * (old[1] == 'to_out')}.lora.", key)


def _layer_name(key: str) -> str:
    """The layer, its model first, whose alpha diffusers gives by the key of one of its weights or by its own."""
    pair = _PAIR.fullmatch(_modern(key))
    return key if pair is None else pair[1]


def _layer(model: torch.nn.Module, path: str) -> torch.nn.Module | None:
    """Text encoders of transformers 4 had one more level."""
    for name in (path, path.removeprefix("text_model.")):
        try:
            layer = model.get_submodule(name)
        except AttributeError:
            continue
        if hasattr(layer, "weight"):
            return layer
    return None
