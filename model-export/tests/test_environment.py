"""What pip would download, without a network: wheels on this disk, as pip's configuration names them."""

import subprocess
import sys
import zipfile
from pathlib import Path

import environment


def wheel(folder: Path, name: str, size: int) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "x" * size)
        info = f"{name}-1.0.dist-info"
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


def test_pips_configuration_counts(tmp_path, monkeypatch):
    wheel(tmp_path / "wheels", "lakegen_one", 2_000_000)
    wheel(tmp_path / "wheels", "lakegen_two", 3_000_000)
    (tmp_path / "requirements.txt").write_text("lakegen_one==1.0\nlakegen_two==1.0\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    command = [sys.executable, environment.__file__, str(tmp_path / "requirements.txt")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "2 packages, 0 MB to download, 5 MB of wheels on this machine\n"


def package(name: str) -> dict:
    return {"metadata": {"name": name, "version": "2.0"}}


def test_large_packages_and_cuda_are_named():
    packages = [package("torch"), package("nvidia-cublas"), package("small"), package("secret")]
    told = environment.lines(packages, [(900_000_000, False), (400_000_000, False), (1_000_000, False), (0, False)])
    assert told[0] == (
        "4 packages, 1,301 MB to download, 1 of unknown size (torch 2.0 900 MB, nvidia-cublas 2.0 400 MB)"
    )
    assert "CUDA" in told[1]
