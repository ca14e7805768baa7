"""Says what pip will download for the exporter's environment: `python environment.py requirements.txt`.

Runs before anything is installed, so with the standard library alone. pip itself is asked, so that its configuration
(index, proxies, `find-links` to wheels on this disk) counts.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LARGE = 100e6


def report(requirements: str) -> list[dict]:
    """The packages that pip would install, as its installation report has them."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "-r", requirements]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["install"]


def size(package: dict) -> tuple[int, bool]:
    """Bytes of a package, 0 where its server doesn't say, and whether they lie on this machine."""
    url = urllib.parse.urlsplit(package["download_info"]["url"])
    if url.scheme == "file":
        return Path(urllib.request.url2pathname(url.path)).stat().st_size, True
    try:
        with urllib.request.urlopen(urllib.request.Request(url.geturl(), method="HEAD"), timeout=20) as answer:
            return int(answer.headers.get("Content-Length") or 0), False
    except (urllib.error.URLError, OSError):
        return 0, False


def lines(packages: list[dict], sizes: list[tuple[int, bool]]) -> list[str]:
    """What to tell the user."""
    names = [f"{package['metadata']['name']} {package['metadata']['version']}" for package in packages]
    remote = [(bytes_, name) for (bytes_, local), name in zip(sizes, names, strict=True) if not local]
    local = sum(bytes_ for bytes_, is_local in sizes if is_local)
    text = f"{len(names)} packages, {sum(bytes_ for bytes_, _ in remote) / 1e6:,.0f} MB to download"
    if local:
        text += f", {local / 1e6:,.0f} MB of wheels on this machine"
    unknown = sum(bytes_ == 0 for bytes_, _ in remote)
    if unknown:
        text += f", {unknown} of unknown size"
    large = ", ".join(
        f"{name} {bytes_ / 1e6:,.0f} MB" for bytes_, name in sorted(remote, reverse=True) if bytes_ > LARGE
    )
    told = [text + (f" ({large})" if large else "")]
    if any(package["metadata"]["name"].startswith("nvidia-") for package in packages):
        told.append("pip's configuration gives torch for CUDA; the CPU's, which is smaller, is enough")
    return told


def main(requirements: str) -> None:
    packages = report(requirements)
    with ThreadPoolExecutor(16) as pool:
        sizes = list(pool.map(size, packages))
    for line in lines(packages, sizes):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
