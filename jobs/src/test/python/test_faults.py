"""Processes of a real cluster that die in the middle of a run: no row is lost, and none comes twice."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from conftest import ENVIRONMENT, LINES, ROOT, SPARK_HOME, embed_options

COPIES = 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample texts several times over, equal rows and a few bad ones included."""
    folder = tmp_path_factory.mktemp("corpus")
    for copy in range(COPIES):
        lines = LINES[:300]
        lines[copy] = "{broken"
        (folder / f"{copy}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def submit(master: str, corpus: Path, output: Path, *conf: str) -> subprocess.Popen:
    settings = [word for setting in conf for word in ("--conf", setting)]
    memory = ["--driver-memory", "1g", "--executor-memory", "1g"]
    options = [*embed_options(corpus, output), "--commit-every", "60"]
    jar = str(ROOT / "jobs/target/lakegen-jobs.jar")
    return subprocess.Popen(
        [str(SPARK_HOME / "bin/spark-submit"), "--master", master, *memory, *settings, jar, *options],
        env=ENVIRONMENT,
        start_new_session=True,
    )


def commits(output: Path) -> int:
    return len(list((output / "_lakegen/commits").glob("*.json.gz")))


def wait_for_commits(output: Path, count: int, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if commits(output) >= count or process.poll() is not None:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{commits(output)} commits in two minutes (expected: {count})")


def assert_every_row_once(corpus: Path, output: Path) -> None:
    expected = sorted(
        json.loads(line)["id"]
        for file in corpus.iterdir()
        for line in file.read_text(encoding="utf-8").splitlines()
        if line != "{broken"
    )
    rows = ds.dataset(output, partitioning="hive").to_table(columns=["id"])
    assert sorted(rows["id"].to_pylist()) == expected
    errors = ds.dataset(output / "_errors", ignore_prefixes=["."]).to_table(columns=["error"])
    assert [error["type"] for error in errors["error"].to_pylist()] == ["malformed_json"] * COPIES
    assert sorted(path.name for path in (output / "_lakegen").iterdir() if not path.name.startswith(".")) == ["commits"]


def executors(workers: list[Path]) -> list[int]:
    """The running executors of the workers with these folders; others on this machine are not the test's."""
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
            if "CoarseGrainedExecutorBackend" in command and set((entry / "cwd").readlink().parents) & set(workers):
                pids.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return pids


def test_killed_executors(cluster: tuple[str, list[Path]], corpus: Path, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    output = tmp_path / "out"
    process = submit(cluster[0], corpus, output)
    for kill in range(2):
        wait_for_commits(output, 1 + 2 * kill, process)
        time.sleep(moments.random())
        running = executors(cluster[1])
        if running:
            os.kill(moments.choice(running), signal.SIGKILL)
    assert process.wait(300) == 0
    assert_every_row_once(corpus, output)


def test_speculation_and_a_driver_that_is_stopped(
    cluster: tuple[str, list[Path]], corpus: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    speculation = [
        "spark.speculation=true",
        "spark.speculation.interval=10ms",
        "spark.speculation.multiplier=1.01",
        "spark.speculation.quantile=0.1",
        "spark.speculation.minTaskRuntime=10ms",
    ]
    process = submit(cluster[0], corpus, output, *speculation)
    wait_for_commits(output, 2, process)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) != 0
    # A driver that is asked to end gives the lease up.
    assert not (output / "_lakegen/lease").exists()
    before = commits(output)
    assert submit(cluster[0], corpus, output, *speculation).wait(300) == 0
    assert commits(output) > before
    assert_every_row_once(corpus, output)
