"""Runs lakegen_daily for a day on this machine: `./lakegen airflow [DAY]`.

A Spark standalone cluster is started on the loopback and stopped at the end; Airflow's database and the lake stay in
.lakegen/airflow, so that the same day again, or another one, goes on from there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pyarrow.dataset as ds
import pyspark

DAGS = Path(__file__).resolve().parent
ROOT = DAGS.parent
SAMPLES = ROOT / "sample-data"
SPARK_HOME = Path(pyspark.__file__).parent
MODELS = {
    "caption": SAMPLES / "models/emoji-git",
    "embed": ROOT / "jobs/target/packs/all-MiniLM-L6-v2",
    "generate": SAMPLES / "models/definitions-gpt2",
    "render": SAMPLES / "models/emoji-diffusion",
}
TABLES = {"captions": "caption", "embeddings": "embedding", "variants": "text", "renders": "image"}
PICTURES_A_DAY = 8

# spark-submit has to be found on the PATH, and the driver must not depend on what the host's name resolves to.
SPARK = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "SPARK_HOME": str(SPARK_HOME),
    "SPARK_LOCAL_IP": "127.0.0.1",
    "SPARK_DAEMON_MEMORY": "256m",
}


@contextmanager
def daemon(log: Path, started: str, *command: str) -> Iterator[re.Match[str]]:
    """A Spark daemon, running while the block runs; gives the match of `started` in its log."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [SPARK_HOME / "bin/spark-class", *command], stdout=out, stderr=subprocess.STDOUT, env=os.environ | SPARK
        )
    try:
        for _ in range(600):
            if match := re.search(started, log.read_text()):
                break
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        else:
            raise TimeoutError(f"{command[0]} said no '{started}' in 60 s:\n{log.read_text()}")
        yield match
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A standalone master and a worker of two cores on the loopback; gives the master's URL."""
    folder.mkdir(parents=True, exist_ok=True)
    address = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    limits = ["--cores", "2", "--memory", "2g", "--work-dir", str(folder / "work")]
    deploy = "org.apache.spark.deploy"
    with ExitStack() as stack:
        starting = r"Starting Spark master at (spark://\S+)"
        master = stack.enter_context(daemon(folder / "master.log", starting, f"{deploy}.master.Master", *address))[1]
        worker = [f"{deploy}.worker.Worker", *address, *limits, master]
        stack.enter_context(daemon(folder / "worker.log", "Successfully registered with master", *worker))
        yield master


def environment(home: Path, lake: Path, master: str) -> dict[str, str]:
    """What Airflow has to know: these variables are all of its configuration."""
    return {
        **os.environ,
        **SPARK,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": master}),
        "AIRFLOW_VAR_LAKEGEN_JAR": str(ROOT / "jobs/target/lakegen-jobs.jar"),
        "AIRFLOW_VAR_LAKEGEN_LAKE": str(lake),
        "AIRFLOW_VAR_LAKEGEN_MODELS": json.dumps({job: str(pack) for job, pack in MODELS.items()}),
    }


def airflow(*words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "airflow"), *words]


def prepare(env: dict[str, str]) -> None:
    """Airflow's database, and the pool of which every job takes a slot while it runs."""
    subprocess.run(airflow("db", "migrate"), env=env, check=True, stdout=subprocess.DEVNULL)
    pool = airflow("pools", "set", "gpu", "1", "One slot for each job that the GPUs can run at once")
    subprocess.run(pool, env=env, check=True, stdout=subprocess.DEVNULL)


def bring_pictures(lake: Path, day: date) -> None:
    """Some of the sample pictures, other ones every day."""
    pictures = sorted((SAMPLES / "images/emoji").iterdir())
    start = day.toordinal() * PICTURES_A_DAY
    folder = lake / f"images/date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + PICTURES_A_DAY):
        picture = pictures[number % len(pictures)]
        if not (folder / picture.name).exists():
            shutil.copy(picture, folder)


def as_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} (expected: YYYY-MM-DD)") from None


def main(day: date) -> int:
    state = ROOT / ".lakegen/airflow"
    lake = state / "lake"
    bring_pictures(lake, day)
    with cluster(state / "cluster") as master:
        env = environment(state, lake, master)
        prepare(env)
        done = subprocess.run(airflow("dags", "test", "lakegen_daily", str(day)), env=env).returncode
    if done == 0:
        for table, column in TABLES.items():
            output = lake / table / f"date={day}"
            rows = ds.dataset(output, partitioning="hive").to_table()
            example = f", such as {rows[column][0]}" if column in ("caption", "text") else ""
            print(f"{output.relative_to(ROOT)}: {len(rows)} rows with {column}{example}")
    return done


if __name__ == "__main__":
    parser = ArgumentParser(prog="lakegen airflow", description="Runs the daily DAG for a day on this machine.")
    parser.add_argument("day", nargs="?", type=as_date, default=date.today(), help="YYYY-MM-DD; today")
    sys.exit(main(parser.parse_args().day))
