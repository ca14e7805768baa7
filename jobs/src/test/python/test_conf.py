"""The files of conf/."""

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, SPARK_HOME

CONF = ROOT / "conf"
FIXTURES = ROOT / "inference/src/test/resources/fixtures"
# Tasks that have no model in sample-data/ name one that users export; tests run a tiny one.
TINY = {"answer": "distilbert-answers", "match": "blip-matching"}
JOBS = [
    *("embed", "classify", "answer", "match", "generate", "caption", "render"),
    *("encode", "decode", "sample", "next-frame"),
]
DEFAULTS = sorted(CONF.glob("spark-defaults-*.conf"))
# Families of keys whose last parts are the user's.
FREE = (
    (r"spark\.kubernetes\.authenticate\.driver\.serviceAccountName", "spark.kubernetes.authenticate.driver"),
    (r"spark\.(executorEnv|yarn\.appMasterEnv)\.\w+", r"spark.\1."),
    (r"spark\.(task|executor|worker)\.resource\.gpu\.(amount|discoveryScript|vendor)", r"\2"),
    (
        r"spark\.kubernetes\.executor\.volumes\.hostPath\.[\w-]+\.(mount|options)\.path",
        "spark.kubernetes.executor.volumes.",
    ),
)


@pytest.fixture(scope="module")
def spark_classes() -> bytes:
    """The classes in which Spark and its cluster managers name their settings."""
    found = []
    for jar in (SPARK_HOME / "jars").glob("spark-*.jar"):
        with zipfile.ZipFile(jar) as classes:
            names = (
                n
                for n in classes.namelist()
                if re.search(r"([Cc]onfig\w*|package|SparkConf|SparkContext)\$?\.class$|/config/|resource/", n)
            )
            found += [classes.read(name) for name in names]
    return b"\n".join(found)


def knows(classes: bytes, key: str) -> bool:
    return re.search(re.escape(key.encode()) + (b"" if key.endswith(".") else rb"(?![\w.])"), classes) is not None


@pytest.mark.parametrize("file", DEFAULTS, ids=lambda file: file.stem)
def test_spark_knows_every_key(file: Path, spark_classes: bytes) -> None:
    # Settings that are proposed in comments count, too.
    keys = re.findall(r"^(?:# )?(spark\.[\w.-]+) {2,}\S", file.read_text(), re.MULTILINE)
    assert keys
    for key in keys:
        for pattern, constant in FREE:
            key = re.sub(f"^{pattern}$", constant, key)
        assert knows(spark_classes, key), key


def test_a_wrong_key_is_noticed(spark_classes: bytes) -> None:
    assert knows(spark_classes, "spark.executor.memoryOverhead")
    assert not knows(spark_classes, "spark.executor.memoryOver")
    assert not knows(spark_classes, "spark.executor.memoryOverheads")


def test_there_is_a_file_for_every_cluster_manager() -> None:
    assert [file.stem for file in DEFAULTS] == [
        f"spark-defaults-{manager}" for manager in ("kubernetes", "local", "standalone", "yarn")
    ]


@pytest.mark.parametrize("job", JOBS)
def test_example_of_a_job(job: str, tmp_path: Path) -> None:
    more = ["--model", FIXTURES / TINY[job] / "pack"] if job in TINY else []
    if job == "decode":  # it reads what encode's example wrote
        row = {"latents": [0.0] * 4 * 16 * 16, "latent_shape": [4, 16, 16]}
        (tmp_path / "latents.jsonl").write_text(json.dumps(row) + "\n")
        more += ["--input", tmp_path / "latents.jsonl"]
    run = subprocess.run(
        [ROOT / "lakegen", job, "--config", CONF / f"{job}.yaml", *more, "--output", "/tmp/lakegen-none", "--dry-run"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout.startswith(f"lakegen {job} would")


LISTS = {
    "two": "GPU 0: NVIDIA H100 (UUID: GPU-11)\nGPU 1: NVIDIA H100 (UUID: GPU-22)",
    "split": "GPU 0: NVIDIA H100 (UUID: GPU-11)\n  MIG 3g.40gb Device 0: (UUID: MIG-aa)\n"
    "  MIG 3g.40gb Device 1: (UUID: MIG-bb)",
    "none": "",
}


@pytest.mark.parametrize(
    ("machine", "arguments", "visible", "expected"),
    [
        ("two", [], None, '["0","1"]'),
        ("two", ["uuid"], None, '["GPU-11","GPU-22"]'),
        ("split", [], None, '["MIG-aa","MIG-bb"]'),
        ("two", [], "1", '["1"]'),
        ("split", [], "MIG-bb", '["MIG-bb"]'),
        ("two", [], "GPU-22, GPU-11", '["GPU-22","GPU-11"]'),
        ("none", [], None, None),
    ],
)
def test_gpu_discovery(
    machine: str, arguments: list[str], visible: str | None, expected: str | None, tmp_path: Path
) -> None:
    listed = tmp_path / "list"
    listed.write_text(LISTS[machine] + ("\n" if LISTS[machine] else ""))
    numbers = "\\n".join(re.findall(r"^GPU (\d+)", LISTS[machine], re.MULTILINE))
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f'#!/bin/sh\nif [ "$1" = -L ]; then cat {listed}; else printf "{numbers}"; fi\n')
    smi.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if visible:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    run = subprocess.run([CONF / "gpu-discovery.sh", *arguments], env=environment, capture_output=True, text=True)
    if expected is None:
        assert run.returncode == 1
        assert "nvidia-smi lists no GPU" in run.stderr
    else:
        assert run.stdout == f'{{"name": "gpu", "addresses": {expected}}}\n'
