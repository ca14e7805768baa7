import json
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import run_local

# Airflow reads its configuration when it is imported, which the test modules do.
HOME = Path(tempfile.mkdtemp(prefix="lakegen-airflow-"))
os.environ |= run_local.environment(HOME, HOME / "lake", "spark://127.0.0.1:7077")
# Retries wait for seconds here, not for minutes.
os.environ["AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY"] = "2"


@dataclass(frozen=True)
class Airflow:
    """Airflow on a database and a lake of its own, before a Spark cluster."""

    home: Path
    lake: Path
    env: dict[str, str]

    @property
    def log(self) -> Path:
        """What the last DAG run said."""
        return self.home / "run.log"

    def start(self, dag: str, day: str, conf: dict, **more: str) -> subprocess.Popen:
        command = run_local.airflow("dags", "test", dag, day, "--conf", json.dumps(conf))
        with self.log.open("w") as out:
            return subprocess.Popen(command, env=self.env | more, stdout=out, stderr=subprocess.STDOUT)

    def query(self, sql: str) -> list[tuple]:
        with sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True) as database:
            return database.execute(sql).fetchall()


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    lake = folder / "lake"
    with run_local.cluster(folder / "cluster") as master:
        env = run_local.environment(folder, lake, master)
        run_local.prepare(env)
        yield Airflow(folder, lake, env)
