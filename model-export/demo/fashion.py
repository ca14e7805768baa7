"""Fashion-MNIST (arXiv 1708.07747, MIT licence) of Debian's package, and what the trainings on it share."""

import gzip
import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

PACKAGE = "dataset-fashion-mnist"
SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
CLASSES = (*("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),)
SIZE = 32
"""Side of the pictures: the data set's 28 pixels with a black margin, so that they can be halved often."""


@dataclass(frozen=True)
class Part:
    """Pictures float32 [N, 1, 32, 32] in -1..1 and their classes int64 [N]."""

    images: torch.Tensor
    classes: torch.Tensor


def load(cache: Path) -> tuple[Part, Part]:
    """The 60,000 pictures to train on, and the 10,000 held out, of other garments."""
    folder = _fetch(cache) / "usr/share/datasets/fashion-mnist"
    return _part(folder, "train"), _part(folder, "t10k")


def _fetch(cache: Path) -> Path:
    """Fetches the package with `apt-get download` and unpacks it, once."""
    target = cache / PACKAGE
    if target.is_dir():
        return target
    fresh = cache / f"{PACKAGE}.partial"
    fresh.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", PACKAGE], cwd=fresh, check=True)
    (archive,) = fresh.glob("*.deb")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        archive.unlink()
        raise ValueError(f"{archive.name}: sha256 {found} (expected: {SHA256})")
    subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=fresh, check=True)
    fresh.rename(target)
    return target


def _part(folder: Path, name: str) -> Part:
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
        classes = np.frombuffer(file.read(), np.uint8, offset=8)
    images = torch.from_numpy(pixels.copy()).float() / 127.5 - 1
    return Part(torch.nn.functional.pad(images, (2, 2, 2, 2), value=-1.0), torch.from_numpy(classes.copy()).long())


def psnr(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Of each picture [N, ...] in -1..1, in decibels."""
    return 10 * torch.log10(4 / (one - other).square().flatten(1).mean(1))


def grid(rows: list[torch.Tensor]) -> Image.Image:
    """Rows of pictures [N, 1, H, W], twice as large."""
    gap = torch.nn.functional.pad(torch.stack(rows), (1, 1, 1, 1), value=1.0)
    count, columns, _, height, width = gap.shape
    joined = gap[:, :, 0].permute(0, 2, 1, 3).reshape(count * height, columns * width)
    pixels = ((joined / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(pixels).resize((2 * pixels.shape[1], 2 * pixels.shape[0]), Image.Resampling.NEAREST)


def save(folder: Path, config: dict, modules: Mapping[str, torch.nn.Module], metrics: dict) -> None:
    """Writes a model that keeps to a contract of `lakegen_export.families.contract`, and its measures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in modules.items():
        torch.jit.script(module.eval()).save(str(folder / f"{name}.pt"))
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    metrics = metrics | {"parameters": {name: sum(p.numel() for p in m.parameters()) for name, m in modules.items()}}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps(metrics, indent=1), flush=True)
