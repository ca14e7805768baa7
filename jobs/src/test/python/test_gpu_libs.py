"""CUDA's libtorch in the JVM, as `./lakegen gpu-libs DIR` installs it: LAKEGEN_GPU_LIBS=DIR runs this."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

LIBS = os.environ.get("LAKEGEN_GPU_LIBS")

pytestmark = pytest.mark.skipif(not LIBS, reason="LAKEGEN_GPU_LIBS is not set")


def has_driver() -> bool:
    return "libcuda.so.1" in subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout


def stub(torch: Path, folder: Path) -> None:
    """A driver library whose every call fails, for machines without a GPU."""
    undefined = subprocess.run(
        ["nm", "-D", "--undefined-only", *torch.glob("*.so")], check=True, capture_output=True, text=True
    ).stdout
    names = sorted(set(re.findall(r" U (cu[A-Z]\w+)$", undefined, re.MULTILINE)))
    assert names
    source = folder / "cuda.c"
    # 100: CUDA_ERROR_NO_DEVICE
    source.write_text("".join(f"int {name}() {{ return 100; }}\n" for name in names))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source], check=True)


def test_torchscript_runs_in_cudas_libtorch(tmp_path: Path) -> None:
    (torch,) = Path(LIBS).resolve().glob("lib/python3.*/site-packages/torch/lib")
    environment = {
        **os.environ,
        "PYTORCH_LIBRARY_PATH": str(torch),
        "PYTORCH_VERSION": "2.7.1",
        "PYTORCH_FLAVOR": "cu128",
    }
    device = "gpu"
    if not has_driver():
        stub(torch, tmp_path)
        environment["LD_LIBRARY_PATH"] = str(tmp_path)
        device = "cpu"
    model = ROOT / "sample-data/models/emoji-git"
    run = subprocess.run(
        [ROOT / "lakegen", "doctor", "--device", "auto", "--model", model],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    print(run.stdout, run.stderr)
    assert run.returncode == 0
    assert re.search(rf"PyTorch +2\.7\.1, loaded from .*{re.escape(str(torch))}", run.stdout)
    assert f"answers its golden inputs on {device}(" in run.stdout
