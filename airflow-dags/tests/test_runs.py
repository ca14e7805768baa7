"""DAG runs for real: Airflow's command line, spark-submit, a standalone cluster, and Parquet at the end."""

import gzip
import json
import os
import shutil
import signal
import time
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import run_local
from conftest import Airflow

TABLES = ("captions", "embeddings", "variants", "renders")
MONDAY, TUESDAY = "2026-11-23", "2026-11-24"
FAST = {"generate_max_new_tokens": 4, "render_num_inference_steps": 2}


def bring_pictures(lake: Path, day: str, first: int, count: int) -> list[Path]:
    folder = lake / f"images/date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = sorted((run_local.SAMPLES / "images/emoji").iterdir())[first : first + count]
    return [Path(shutil.copy(picture, folder)) for picture in pictures]


def run(airflow: Airflow, dag: str, day: str, conf: dict, **more: str) -> tuple[int, str]:
    process = airflow.start(dag, day, conf, **more)
    try:
        return process.wait(400), airflow.log.read_text()
    finally:
        process.kill()


def rows(lake: Path, table: str, day: str) -> pa.Table:
    return ds.dataset(lake / table / f"date={day}", partitioning="hive").to_table()


def commits(output: Path) -> list[dict]:
    log = output / "_lakegen/commits"
    return [json.loads(gzip.decompress(entry.read_bytes())) for entry in sorted(log.glob("*.json.gz"))]


def files(lake: Path, day: str) -> dict[str, int]:
    """Every file of a day's tables, the commit logs included, with its time."""
    return {
        str(file): file.stat().st_mtime_ns
        for table in TABLES
        for file in (lake / table / f"date={day}").rglob("*")
        if file.is_file()
    }


def assert_every_picture_once(lake: Path, day: str, pictures: list[Path]) -> None:
    paths = sorted(f"file:{picture}" for picture in pictures)
    for table in ("captions", "embeddings"):
        assert sorted(rows(lake, table, day)["path"].to_pylist()) == paths
    for table in ("variants", "renders"):
        found = rows(lake, table, day).select(["path", "sequence_index"]).to_pylist()
        assert sorted(tuple(row.values()) for row in found) == list(product(paths, (0, 1)))


def tries(airflow: Airflow, dag: str, day: str) -> dict[str, tuple[str, int]]:
    found = airflow.query(
        "select ti.task_id, ti.state, ti.try_number from task_instance ti"
        " join dag_run dr on dr.dag_id = ti.dag_id and dr.run_id = ti.run_id"
        f" where dr.dag_id = '{dag}' and dr.logical_date like '{day}%'"
    )
    return {task: (state, number) for task, state, number in found}


def published(airflow: Airflow) -> list[tuple[str, dict]]:
    events = airflow.query("select a.name, e.extra from asset_event e join asset a on a.id = e.asset_id order by e.id")
    return [(name, json.loads(extra)) for name, extra in events]


def test_a_day_again_reads_nothing_and_the_next_day_survives_a_killed_driver(airflow: Airflow) -> None:
    lake = airflow.lake
    monday = bring_pictures(lake, MONDAY, 0, 4)
    status, said = run(airflow, "lakegen_daily", MONDAY, FAST)
    assert status == 0, said
    assert_every_picture_once(lake, MONDAY, monday)
    assert all(rows(lake, "captions", MONDAY)["caption"].to_pylist())
    assert {len(vector) for vector in rows(lake, "embeddings", MONDAY)["embedding"].to_pylist()} == {384}
    assert {image[:4] for image in rows(lake, "renders", MONDAY)["image"].to_pylist()} == {b"\x89PNG"}
    assert set(rows(lake, "renders", MONDAY)["steps"].to_pylist()) == {2}
    assert sorted(name for name, _ in published(airflow)) == sorted(f"lakegen_{table}" for table in TABLES)
    for name, manifest in published(airflow):
        output = lake / name.removeprefix("lakegen_") / f"date={MONDAY}"
        count = 8 if "variants" in name or "renders" in name else 4
        assert manifest["output"] == str(output)
        assert manifest["run_ids"] == [commits(output)[0]["run_id"]]
        assert len(rows(lake, output.parent.name, MONDAY)) == count
        assert {Path(commit).suffix for commit in map(str, Path(manifest["manifest"]).glob("[0-9]*"))} == {".gz"}

    # Whoever read a picture now would find none in it, and no task could be done with it.
    for picture in monday:
        before = picture.stat()
        picture.write_bytes(bytes(before.st_size))
        os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    before = files(lake, MONDAY)
    status, said = run(airflow, "lakegen_daily", MONDAY, FAST)
    assert status == 0, said
    assert files(lake, MONDAY) == before

    tuesday = bring_pictures(lake, TUESDAY, 4, 12)
    output = lake / f"captions/date={TUESDAY}"
    process = airflow.start("lakegen_daily", TUESDAY, FAST | {"caption_commit_every": "2"})
    try:
        deadline = time.monotonic() + 200
        while len(list(output.glob("_lakegen/commits/*.json.gz"))) < 2:
            assert process.poll() is None, airflow.log.read_text()
            assert time.monotonic() < deadline, "no two commits in 200 s"
            time.sleep(0.02)
        driver = json.loads((output / "_lakegen/lease").read_text())["pid"]
        os.kill(driver, signal.SIGKILL)
        at_kill = len(commits(output))
        assert process.wait(400) == 0, airflow.log.read_text()
    finally:
        process.kill()
    assert tries(airflow, "lakegen_daily", TUESDAY)["captions.caption"] == ("success", 2)
    assert {state for state, _ in tries(airflow, "lakegen_daily", TUESDAY).values()} == {"success"}
    # The killed driver's chunks stand, and the second one did the rest.
    runs = [commit["run_id"] for commit in commits(output)]
    assert len(set(runs)) == 2
    assert runs.index(runs[-1]) >= at_kill
    assert sum(commit["counts"]["input"] for commit in commits(output)) == len(tuesday)
    assert_every_picture_once(lake, TUESDAY, tuesday)
    assert files(lake, MONDAY) == before


def test_an_exceeded_error_budget_fails_without_a_retry(airflow: Airflow, tmp_path: Path) -> None:
    output = tmp_path / "out"
    conf = {
        "input": [str(run_local.SAMPLES / "images/broken")],
        "input_format": "image",
        "model": str(run_local.MODELS["caption"]),
        "output": str(output),
    }
    lineage = {"AIRFLOW__OPENLINEAGE__SPARK_INJECT_PARENT_JOB_INFO": "true"}
    status, said = run(airflow, "lakegen_caption", MONDAY, conf, **lineage)
    assert status != 0
    assert f"the rows are committed, error rows in {output}/_errors" in said
    assert tries(airflow, "lakegen_caption", MONDAY) == {"caption": ("failed", 1), "check": ("upstream_failed", 0)}
    assert "--conf spark.openlineage.parentJobName=lakegen_caption.caption " in said
    assert len(commits(output)) >= 1

    # Nothing is left to do, so the job is content; its output is not.
    status, said = run(airflow, "lakegen_caption", MONDAY, conf)
    assert status != 0
    assert tries(airflow, "lakegen_caption", MONDAY) == {"caption": ("success", 1), "check": ("failed", 1)}
    assert "(expected: at most 0.1)" in said or "(expected: at least one good row)" in said
