"""From a model's name to a written pack."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig

from . import image, pack, source
from .families import FAMILIES
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
    config = AutoConfig.from_pretrained(where, **options)
    family_class = FAMILIES.get(config.model_type)
    if family_class is None:
        raise ValueError(f"model_type: {config.model_type} (expected: one of {', '.join(sorted(FAMILIES))})")
    if request.task not in (None, family_class.task):
        raise ValueError(f"task: {request.task} (expected: {family_class.task} for {config.model_type})")
    if request.engine not in family_class.engines:
        raise ValueError(
            f"engine: {request.engine} (expected: {' or '.join(family_class.engines)} for {config.model_type})"
        )
    if request.engine == "OnnxRuntime" and request.dtype != torch.float32:
        raise ValueError(f"dtype: {request.dtype} (expected: float32 with OnnxRuntime)")
    arguments = {}
    if family_class is Encoder:
        arguments["pooling"] = request.pooling or source.Pooling.read(where)
        if arguments["pooling"] is None:
            raise ValueError(
                "pooling: unknown, the model has no modules.json of sentence-transformers "
                f"(expected: --pooling {' or '.join(source.Pooling.MODES)})"
            )
    family = family_class(family_class.load(where, **options), request.dtype, **arguments)
    tokenizer = source.Tokenizer.load(where, family.context, **options)
    manifest = {
        "task": family_class.task,
        "family": config.model_type,
        "engine": request.engine,
        "dtype": str(request.dtype).removeprefix("torch."),
        "tokenizer": tokenizer.manifest(),
        **family.manifest(),
        "source": {
            "id": Path(request.model).name if Path(request.model).exists() else request.model,
            "revision": getattr(config, "_commit_hash", None) or "local",
            "licence": request.licence or source.licence(where),
        },
    }
    processor = source.image_processor(where) if family_class.images else None
    if processor is not None:
        manifest["image"] = image.manifest(processor)
    pack.write(family, manifest, tokenizer, processor, request.out, report)


def _locate(model: str) -> tuple[str, dict]:
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ValueError(f"model: {model} (expected: an existing GGUF file)")
        return str(path.parent), {"gguf_file": path.name}
    return model, {}
