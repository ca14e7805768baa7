"""The shaded jar under spark-submit on a standalone cluster."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
from conftest import ENVIRONMENT, PACK, ROOT, SPARK_HOME, embed_options, read_run


def test_cluster_output_equals_local_output(
    cluster: tuple[str, list[Path]], texts: Path, local_run: pa.Table, tmp_path: Path
) -> None:
    master, workers = cluster
    output = tmp_path / "out"
    # Other tests ran applications on the same workers.
    earlier = {folder for worker in workers for folder in worker.glob("app-*")}
    subprocess.run(
        [
            SPARK_HOME / "bin/spark-submit",
            *("--master", master, "--driver-memory", "1g", "--executor-memory", "1g"),
            ROOT / "jobs/target/lakegen-jobs.jar",
            *embed_options(texts, output),
        ],
        check=True,
        env=ENVIRONMENT,
        timeout=900,
    )
    run = read_run(output)

    folders = {folder for worker in workers for folder in worker.glob("app-*")} - earlier
    executors = [log.read_text() for folder in folders for log in folder.glob("*/stderr")]
    assert len(executors) == len(workers)
    # An executor runs several partitions and loads the model once; a slow worker's may come too late for any.
    ran = [log for log in executors if "Running task" in log]
    assert ran
    assert [log.count("ModelPool: loaded") for log in ran] == [1] * len(ran)
    # It begins to load when it starts, whether tasks have come by the end of that or not.
    assert all(log.index("preloading") < log.index("Running task") for log in ran)
    assert all(f"preloaded {PACK} on cpu" in log for log in ran)
    exact = [name for name in run.column_names if name not in ("embedding", "lineage")]
    assert run.select(exact).equals(local_run.select(exact))
    same_everywhere = ("key", "model_sha256", "params_sha256", "seed")
    for name in same_everywhere:
        assert [row[name] for row in run["lineage"].to_pylist()] == [
            row[name] for row in local_run["lineage"].to_pylist()
        ], name
    np.testing.assert_allclose(
        np.array(run["embedding"].to_pylist()), np.array(local_run["embedding"].to_pylist()), atol=1e-4, rtol=0
    )


def test_a_missing_pack_is_the_jobs_error_although_executors_miss_it_too(
    cluster: tuple[str, list[Path]], texts: Path, tmp_path: Path
) -> None:
    options = embed_options(texts, tmp_path / "out")
    missing = str(tmp_path / "missing")
    options[options.index(str(PACK))] = missing
    memory = ("--driver-memory", "1g", "--executor-memory", "1g")
    job = subprocess.run(
        [
            SPARK_HOME / "bin/spark-submit",
            *("--master", cluster[0]),
            *memory,
            ROOT / "jobs/target/lakegen-jobs.jar",
            *options,
        ],
        env=ENVIRONMENT,
        timeout=300,
        capture_output=True,
        text=True,
    )
    print(job.stderr)
    assert job.returncode == 2
    assert re.search(rf"^  model(:)? .*{missing}.*\(expected: ", job.stderr, re.MULTILINE)
