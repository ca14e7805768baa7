"""From a model's name to a written pack."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig

from . import image, pack, source
from .families import FAMILIES, Family
from .families.diffusion import StableDiffusion
from .families.encoder import Encoder


@dataclass(frozen=True)
class Request:
    """What to export; `model` is a folder, a hub id or a GGUF file, `task` None takes the family's own."""

    model: str
    out: Path
    task: str | None = None
    dtype: torch.dtype = torch.float32
    engine: str = "PyTorch"
    licence: str | None = None
    pooling: source.Pooling | None = None


def export(request: Request, report: Callable[[str], None] = print) -> None:
    """Writes the pack; ValueError with what to change when the model or the request can't be served."""
    if request.out.exists():
        raise ValueError(f"out: {request.out} exists (expected: a new folder)")
    where, options = _locate(request.model)
    if source.read_json(where, "model_index.json") is not None:
        _export_pipeline(request, where, report)
        return
    config = AutoConfig.from_pretrained(where, **options)
    family_class = FAMILIES.get(config.model_type)
    if family_class is None:
        raise ValueError(f"model_type: {config.model_type} (expected: one of {', '.join(supported())})")
    _check(request, family_class, config.model_type)
    arguments = {}
    if family_class is Encoder:
        arguments["pooling"] = request.pooling or source.Pooling.read(where)
        if arguments["pooling"] is None:
            raise ValueError(
                "pooling: unknown, the model has no modules.json of sentence-transformers "
                f"(expected: --pooling {' or '.join(source.Pooling.MODES)})"
            )
    elif request.pooling is not None:
        raise ValueError(f"pooling: {request.pooling.mode} (expected: none for {config.model_type})")
    family = family_class(family_class.load(where, **options), request.dtype, **arguments)
    tokenizer = source.Tokenizer.load(where, family.context, **options)
    processor = source.image_processor(where) if family_class.images else None
    manifest = _manifest(request, family, config.model_type, where, getattr(config, "_commit_hash", None), tokenizer)
    if processor is not None:
        manifest["image"] = image.manifest(processor)
    pack.write(family, manifest, tokenizer, processor, request.out, report)


def supported() -> list[str]:
    """Names of the architectures that can be exported."""
    return sorted([*FAMILIES, StableDiffusion.name])


def _export_pipeline(request: Request, where: str, report: Callable[[str], None]) -> None:
    """A diffusers folder: several models, named by model_index.json."""
    index = source.read_json(where, "model_index.json")
    kinds = {part: index.get(part, [None, None])[1] for part in ("text_encoder", "unet", "vae")}
    expected = {"text_encoder": "CLIPTextModel", "unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
    if kinds != expected or "text_encoder_2" in index:
        raise ValueError(f"{index['_class_name']}: {kinds} (expected: Stable Diffusion 1.x or 2.x, {expected})")
    _check(request, StableDiffusion, StableDiffusion.name)
    tokenizer = source.Tokenizer.load(where, None, subfolder="tokenizer")
    scheduler = source.read_json(where, "scheduler/scheduler_config.json")
    family = StableDiffusion(StableDiffusion.load(where), request.dtype, tokenizer.tokenizer, scheduler)
    manifest = _manifest(request, family, StableDiffusion.name, where, None, tokenizer)
    pack.write(family, manifest, tokenizer, None, request.out, report)


def _check(request: Request, family: type[Family], name: str) -> None:
    if request.task not in (None, family.task):
        raise ValueError(f"task: {request.task} (expected: {family.task} for {name})")
    if request.engine not in family.engines:
        raise ValueError(f"engine: {request.engine} (expected: {' or '.join(family.engines)} for {name})")
    if request.engine == "OnnxRuntime" and request.dtype != torch.float32:
        raise ValueError(f"dtype: {request.dtype} (expected: float32 with OnnxRuntime)")


def _manifest(
    request: Request, family: Family, name: str, where: str, revision: str | None, tokenizer: source.Tokenizer
) -> dict:
    local = Path(request.model).exists()
    return {
        "task": family.task,
        "family": name,
        "engine": request.engine,
        "dtype": str(request.dtype).removeprefix("torch."),
        "tokenizer": tokenizer.manifest(),
        **family.manifest(),
        "source": {
            "id": Path(request.model).name if local else request.model,
            "revision": revision or "local",
            "licence": request.licence or source.licence(where),
        },
    }


def _locate(model: str) -> tuple[str, dict]:
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ValueError(f"model: {model} (expected: an existing GGUF file)")
        return str(path.parent), {"gguf_file": path.name}
    return model, {}
