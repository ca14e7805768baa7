"""The embed job's output over texts of sample-data/, from the launcher and from a standalone Spark cluster."""

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pytest

ROOT = Path(__file__).resolve().parents[4]
PACK = ROOT / "jobs/target/packs/all-MiniLM-L6-v2"
# As many as runs need that are killed in the middle.
LINES = (ROOT / "sample-data/text/texts.jsonl").read_text(encoding="utf-8").splitlines()[:600]
SPARK_HOME = Path(pyspark.__file__).parent
ENVIRONMENT = {
    **os.environ,
    "SPARK_HOME": str(SPARK_HOME),
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_PYTHON": sys.executable,
}


def embed_options(texts: Path, output: Path) -> list[str]:
    return ["embed", "--input", str(texts), "--column", "text", "--model", str(PACK), "--output", str(output)]


def read_run(output: Path) -> pa.Table:
    """The rows of the only run in an output folder, file after file."""
    (run,) = output.glob("run_id=*")
    commits = [json.loads(gzip.decompress(entry.read_bytes())) for entry in (output / "_lakegen/commits").iterdir()]
    assert {commit["run_id"] for commit in commits} == {run.name.removeprefix("run_id=")}
    assert sorted(f"chunk={commit['chunk']}" for commit in commits) == sorted(chunk.name for chunk in run.iterdir())
    return pa.concat_tables(pq.ParquetFile(part).read() for part in sorted(run.glob("chunk=*/part-*.parquet")))


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    file.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def local_run(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    output = tmp_path_factory.mktemp("local") / "out"
    subprocess.run([ROOT / "lakegen", *embed_options(texts, output)], check=True, timeout=900)
    return read_run(output)


@contextmanager
def daemon(
    log: Path, started: str, *command: str, cwd: Path | None = None, memory: str = "256m"
) -> Iterator[re.Match[str]]:
    """A Spark daemon, running while the block runs; gives the match of `started` in its log."""
    environment = {**ENVIRONMENT, "SPARK_DAEMON_MEMORY": memory}
    with log.open("w") as out:
        process = subprocess.Popen(
            [SPARK_HOME / "bin/spark-class", *command], stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=cwd
        )
    try:
        for _ in range(600):
            if match := re.search(started, log.read_text()):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            raise TimeoutError(f"{command[0]} said no '{started}' in 60 s:\n{log.read_text()}")
        yield match
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Path]]]:
    """A standalone master and two workers of one core on the loopback: the master's URL, the workers' folders."""
    folder = tmp_path_factory.mktemp("cluster")
    workers = [folder / "worker1", folder / "worker2"]
    address = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    with ExitStack() as stack:
        master = stack.enter_context(
            daemon(
                folder / "master.log",
                r"Starting Spark master at (spark://\S+)",
                "org.apache.spark.deploy.master.Master",
                *address,
            )
        )[1]
        for work in workers:
            limits = ["--cores", "1", "--memory", "2g", "--work-dir", str(work)]
            stack.enter_context(
                daemon(
                    work.with_suffix(".log"),
                    "Successfully registered with master",
                    "org.apache.spark.deploy.worker.Worker",
                    *address,
                    *limits,
                    master,
                )
            )
        yield master, workers
