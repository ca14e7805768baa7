"""Merges LoRA weights (arXiv 2106.09685) into the models of a pipeline."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers.loaders import StableDiffusionXLLoraLoaderMixin

_OLD = re.compile(r"(?:processor\.)?(to_[qkv]|to_out)_lora\.")
_PAIR = re.compile(r"(\w+)\.(.+)\.(?:lora_|lora\.|lora_linear_layer\.)(A|B|down|up)\.weight")


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
    state, alphas = StableDiffusionXLLoraLoaderMixin.lora_state_dict(lora.source, unet_config=models["unet"].config)
    pairs: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    strange = []
    for key, value in state.items():
        found = _PAIR.fullmatch(_OLD.sub(lambda old: f"{old[1]}{'.0' * (old[1] == 'to_out')}.lora.", key))
        if found is None or found[1] not in models:
            strange.append(key)
        else:
            side = {"down": "A", "up": "B"}.get(found[3], found[3])
            pairs.setdefault((found[1], found[2]), {})[side] = value.float()
    if strange or not pairs:
        raise ValueError(f"lora: {', '.join(strange[:3]) or 'no weights'} (expected: weights of {', '.join(models)})")
    for (model, path), pair in pairs.items():
        layer = _layer(models[model], path)
        if layer is None or pair.keys() != {"A", "B"}:
            raise ValueError(f"lora: {model}.{path} (expected: a pair of weights for a layer of the model)")
        down, up = pair["A"], pair["B"]
        rank = down.shape[0]
        alpha = float((alphas or {}).get(f"{model}.{path}.alpha", rank))
        # Of convolutions, the second one is of one pixel.
        update = torch.einsum("orij,rchw->ochw", up, down) if down.dim() == 4 else up @ down
        with torch.no_grad():
            layer.weight += lora.scale * alpha / rank * update.reshape(layer.weight.shape)


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
