"""From a model's name to a written pack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import AutoConfig

from . import golden, half_weights, image, measure, pack, source
from .families import Family, choose
from .families.autoencoder import AutoencoderKl
from .families.contract import CONTRACTS
from .families.encoder import Pooling
from .families.lora import Lora
from .families.pipelines import recognise

OPTIONS = ("pooling", "attention_layer", "heat_map_layer", "lora", "super_resolution")
"""The fields of a request that only some families take."""


@dataclass(frozen=True)
class Request:
    """What to export; `model` is a folder, a hub id or a GGUF file, `task` None lets the checkpoint decide."""

    model: str
    out: Path
    task: str | None = None
    dtype: torch.dtype | None = torch.float32
    """None: the fastest on this CPU."""

    weights: torch.dtype | None = None
    """float16: weights of a decoder's linear layers under the arithmetic of `dtype`, float32."""

    engine: str | None = None
    """None: the one that the dtype is for."""

    licence: str | None = None
    pooling: Pooling | None = None
    lora: Lora | None = None
    super_resolution: str | None = None
    """A second pipeline, which enlarges what the first one paints."""

    attention_layer: int | None = None
    heat_map_layer: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """What a model's files say of it: its architecture, the classes it was saved from, and its revision on the hub."""

    name: str
    architectures: Sequence[str] = ()
    revision: str | None = None


def export(request: Request, report: Callable[[str], None] = print) -> None:
    """Writes the pack; ValueError with what to change when the model or the request can't be served."""
    if request.out.exists():
        raise ValueError(f"out: {request.out} exists (expected: a new folder)")
    where, options = _locate(request.model)
    checkpoint = _identify(where, options)
    family_class = choose(checkpoint.name, request.task, checkpoint.architectures)
    _check(request, family_class, checkpoint.name)
    tokenizer = None
    if family_class.texts:
        tokenizer = source.Tokenizer.load(where, subfolder=family_class.tokenizer_folder, **options)
    family = family_class.build(request, where, tokenizer and tokenizer.tokenizer, **options)
    if request.dtype is None:
        engine, dtype = measure.fastest(family, request, report)
        request = replace(request, engine=engine, dtype=dtype)
    elif request.engine is None:
        request = replace(request, engine="OnnxRuntime" if request.dtype == torch.int8 else "PyTorch")
    if tokenizer is not None:
        tokenizer = tokenizer.within(family.context)
    processor = source.image_processor(where) if family.images else None
    manifest = _manifest(request, family, checkpoint, where, tokenizer)
    if processor is not None:
        manifest["image"] = image.manifest(processor)
    differences = pack.write(family, manifest, tokenizer, processor, request.out, report)
    for line in _summary(request.out, manifest, differences):
        report(line)


def _summary(out: Path, manifest: dict, differences: dict[str, golden.Difference]) -> list[str]:
    sizes = {path.relative_to(out).as_posix(): path.stat().st_size for path in out.rglob("*") if path.is_file()}
    origin = manifest["source"]
    worst = max(differences.values(), key=lambda d: d.largest / max(1.0, d.scale))
    cosine = min(difference.cosine for difference in differences.values())
    return [
        f"{out}: {origin['id']}, licence {origin['licence']}, for {', '.join(manifest['tasks'])}",
        *(f"  {name:24} {pack.megabytes(size):>12}" for name, size in sorted(sizes.items())),
        f"  {'in all':24} {pack.megabytes(sum(sizes.values())):>12}",
        f"fidelity: largest difference from the float32 reference {worst.largest:.2e} of values up to "
        f"{worst.scale:.3g}, lowest cosine {cosine:.6f}",
    ]


def _identify(where: str, options: dict) -> Checkpoint:
    index = source.read_json(where, "model_index.json")
    if index is not None:  # of diffusers: several models in one folder
        return Checkpoint(recognise(index))
    plain = None if options else source.read_json(where, "config.json")
    if plain is not None and plain.get("_class_name") == AutoencoderKl.class_name:
        return Checkpoint(AutoencoderKl.name)
    if plain is not None and plain.get("model_type") in CONTRACTS:
        return Checkpoint(plain["model_type"])
    config = AutoConfig.from_pretrained(where, **options)
    return Checkpoint(config.model_type, config.architectures or (), getattr(config, "_commit_hash", None))


def _check(request: Request, family: type[Family], name: str) -> None:
    if request.engine is not None and request.engine not in family.engines:
        raise ValueError(f"engine: {request.engine} (expected: {' or '.join(family.engines)} for {name})")
    if request.dtype is None and not family.measured:
        raise ValueError(f"dtype: auto (expected: one of its names for {name})")
    if request.engine == "OnnxRuntime" and request.dtype not in (torch.float32, torch.int8, None):
        raise ValueError(f"dtype: {_name(request.dtype)} (expected: float32 or int8 with OnnxRuntime)")
    if request.dtype == torch.int8:
        if not family.int8:
            raise ValueError(f"dtype: int8 (expected: float32, bfloat16 or float16 for {family.task})")
        if request.engine == "PyTorch":
            raise ValueError("dtype: int8 (expected: float32, bfloat16 or float16 with PyTorch)")
        if request.attention_layer is not None:
            raise ValueError(f"attention_layer: {request.attention_layer} (expected: none with int8)")
    if request.weights is not None and "weights" not in family.options:
        raise ValueError(f"dtype: {half_weights.NAME} (expected: float32, bfloat16 or float16 for {family.task})")
    for option in OPTIONS:
        value = getattr(request, option)
        if value is not None and option not in family.options:
            raise ValueError(f"{option}: {value} (expected: none for {family.task})")


def _manifest(
    request: Request, family: Family, checkpoint: Checkpoint, where: str, tokenizer: source.Tokenizer | None
) -> dict:
    local = Path(request.model).exists()
    return {
        "tasks": {family.task: family.section()},
        "family": checkpoint.name,
        "engine": request.engine,
        "dtype": half_weights.NAME if request.weights else _name(request.dtype),
        **({} if tokenizer is None else {"tokenizer": tokenizer.manifest(family.chat_template())}),
        **family.manifest(),
        "source": {
            "id": Path(request.model).name if local else request.model,
            "revision": checkpoint.revision or "local",
            "licence": request.licence or source.licence(where),
        },
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _locate(model: str) -> tuple[str, dict]:
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ValueError(f"model: {model} (expected: an existing GGUF file)")
        return str(path.parent), {"gguf_file": path.name}
    return model, {}
