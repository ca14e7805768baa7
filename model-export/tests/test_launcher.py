"""`./lakegen export`: the exporter behind the launcher, in the environment that this test runs in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / ".lakegen" / "venv-export").resolve(), reason="not the launcher's environment"
)
def test_exports_from_any_folder(source, tmp_path):
    model = Path(source("bert-classification"))
    (tmp_path / "model").symlink_to(model)
    command = [ROOT / "lakegen", "export", "--model", "model", "--out", "pack", "--licence", "MIT"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ})
    assert ran.returncode == 0, ran.stderr
    assert "model: exporting graph 1 of 1" in ran.stdout
    assert "licence MIT, for text-classification" in ran.stdout
    assert re.search(r"fidelity: largest difference .* lowest cosine (1\.000000|0\.99999\d)", ran.stdout)
    assert ran.stdout.rstrip().endswith("./lakegen pack check pack proves the pack on this machine")
    assert (tmp_path / "pack" / "pack.json").is_file()


def test_errors_name_the_launcher(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "lakegen_export", "--model", tmp_path / "no.gguf", "--out", tmp_path / "pack"],
        cwd=ROOT / "model-export",
        capture_output=True,
        text=True,
        env={**os.environ, "LAKEGEN_PROGRAM": "./lakegen export"},
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("./lakegen export: model: ")
