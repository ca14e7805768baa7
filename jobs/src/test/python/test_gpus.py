"""Where models and tasks are put on a cluster whose workers have GPUs, as far as Spark and Lakegen can tell."""

import json
import os
import re
import signal
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from conftest import ENVIRONMENT, LINES, PACK, ROOT, SPARK_HOME, daemon, embed_options
from test_faults import executors

JAR = ROOT / "jobs/target/lakegen-jobs.jar"
CLASSES = ROOT / "jobs/target/test-classes"
STANDALONE = ROOT / "conf/spark-defaults-standalone.conf"

pytestmark = pytest.mark.skipif(
    not (CLASSES / "io/lakegen/jobs/gpu").exists(), reason="the tests' classes are missing: ./mvnw test-compile"
)


@pytest.fixture(scope="module")
def pretended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jar that makes ONNX Runtime claim two GPUs."""
    jar = tmp_path_factory.mktemp("jar") / "gpus.jar"
    with zipfile.ZipFile(jar, "w") as out:
        for file in CLASSES.glob("io/lakegen/jobs/gpu/*.class"):
            out.write(file, file.relative_to(CLASSES))
        out.writestr("META-INF/services/ai.djl.engine.EngineProvider", "io.lakegen.jobs.gpu.PretendedGpus\n")
    return jar


@pytest.fixture(scope="module", params=[["0", "1"], ["GPU-aaaa", "GPU-bbbb"]], ids=["index", "uuid"])
def gpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """A master, and a worker of four cores and two GPUs: the master's URL, the worker's folder, the addresses."""
    folder = tmp_path_factory.mktemp("gpus")
    script = folder / "nvidia-smi"
    names = "\\n".join(f"GPU {i}: Pretended (UUID: {name})" for i, name in enumerate(request.param))
    numbers = "\\n".join(request.param)
    script.write_text(f'#!/bin/sh\n[ "$1" = -L ] && printf "{names}\\n" || printf "{numbers}\\n"\n')
    script.chmod(0o755)
    settings = folder / "worker.conf"
    discovery = folder / "discovery.sh"
    kind = "index" if "0" in request.param else "uuid"
    discovery.write_text(f"#!/bin/sh\nPATH={folder}:$PATH exec {ROOT}/conf/gpu-discovery.sh {kind}\n")
    discovery.chmod(0o755)
    settings.write_text(f"spark.worker.resource.gpu.amount 2\nspark.worker.resource.gpu.discoveryScript {discovery}\n")
    address = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    work = folder / "worker"
    limits = ["--cores", "4", "--memory", "6g", "--work-dir", str(work), "--properties-file", str(settings)]
    with (
        daemon(
            folder / "master.log",
            r"Starting Spark master at (spark://\S+)",
            "org.apache.spark.deploy.master.Master",
            *address,
        ) as master,
        daemon(
            folder / "worker.log",
            "Successfully registered with master",
            "org.apache.spark.deploy.worker.Worker",
            *address,
            *limits,
            master[1],
        ),
    ):
        yield master[1], work, request.param


def submit(gpus: tuple, jar: Path, output: Path, *command: str, **settings: str) -> subprocess.Popen:
    log4j = output.parent / "log4j2.properties"
    log4j.write_text(
        (ROOT / "conf/log4j2.properties").read_text().replace("rootLogger.level = error", "rootLogger.level = info")
        + "\nlogger.scorer.name = io.lakegen.spark\nlogger.scorer.level = debug\n"
    )
    conf = {
        "spark.executor.extraClassPath": f"{jar}:{JAR}",
        "spark.executor.extraJavaOptions": f"-Dlog4j2.configurationFile={log4j}",
        "spark.executorEnv.CUDA_VISIBLE_DEVICES": ",".join(gpus[2]),
        "spark.executor.memory": "1g",
        "spark.executor.memoryOverhead": "1g",
        # Many clusters have it as their default; it cannot write Java's records.
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        **{name.replace("_", "."): value for name, value in settings.items()},
    }
    return subprocess.Popen(
        [
            str(SPARK_HOME / "bin/spark-submit"),
            *("--properties-file", str(STANDALONE), "--master", gpus[0], "--driver-memory", "1g"),
            *(word for name, value in conf.items() for word in ("--conf", f"{name}={value}")),
            str(JAR),
            *command,
        ],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )


def embed(texts: Path, output: Path, commit_every: int) -> list[str]:
    # The budget of a GPU would be slow on the CPUs that pretend.
    gpu = ["--device", "gpu", "--batch-budget", "1024"]
    return [*embed_options(texts, output), "--commit-every", str(commit_every), *gpu]


def logs(work: Path, before: set[Path]) -> list[str]:
    """What each executor of the last application wrote."""
    (application,) = set(work.glob("app-*")) - before
    return [log.read_text() for log in application.glob("*/stderr")]


def loads(log: str) -> list[str]:
    return sorted(re.findall(r"ModelPool: loaded .*device=(\w+\(\d*\))", log))


def most_at_once(log: str) -> dict[str, int]:
    """How many tasks a device had at once, at most."""
    device = dict(re.findall(r"task (\d+) is on (\S+)", log))
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for what, task in re.findall(r"Executor: (task|Finished|Running) .*?TID (\d+)", log):
        if task in device:
            running[device[task]] += 1 if what == "Running" else -1
            most[device[task]] = max(most[device[task]], running[device[task]])
    return dict(most)


def assert_every_row_once(output: Path) -> None:
    expected = sorted(json.loads(line)["id"] for line in LINES)
    assert sorted(ds.dataset(output, partitioning="hive").to_table(columns=["id"])["id"].to_pylist()) == expected


def test_two_gpus_and_four_tasks_of_an_executor(gpus: tuple, pretended: Path, texts: Path, tmp_path: Path) -> None:
    before = set(gpus[1].glob("app-*"))
    amounts = {"spark_executor_resource_gpu_amount": "2", "spark_task_resource_gpu_amount": "0.5"}
    process = submit(gpus, pretended, tmp_path / "out", *embed(texts, tmp_path / "out", 2 * len(LINES)), **amounts)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert_every_row_once(tmp_path / "out")
    (log,) = logs(gpus[1], before)
    assert loads(log) == ["gpu(0)", "gpu(1)"]
    tasks = Counter(device for _, device in re.findall(r"task (\d+) is on (\S+)", log))
    print(tasks)
    assert most_at_once(log) == {"gpu(0)": 2, "gpu(1)": 2}


def test_executors_of_one_gpu_that_are_lost(gpus: tuple, pretended: Path, texts: Path, tmp_path: Path) -> None:
    if gpus[2] != ["0", "1"]:
        pytest.skip("what an address looks like makes no difference here, and two minutes")
    before = set(gpus[1].glob("app-*"))
    output = tmp_path / "out"
    # How many tasks share a GPU is left to Lakegen.
    amounts = {"spark_executor_cores": "2", "spark_executor_resource_gpu_amount": "1"}
    process = submit(gpus, pretended, output, *embed(texts, output, 240), **amounts)
    commits = output / "_lakegen/commits"
    while process.poll() is None and not list(commits.glob("*.json.gz")):
        time.sleep(0.05)
    lost = executors([gpus[1]])
    for pid in lost:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert_every_row_once(output)
    loaded = [loads(log) for log in logs(gpus[1], before)]
    print(loaded)
    # Each executor has one copy, on the GPU that it was given; those that came later loaded theirs anew.
    assert all(len(devices) <= 1 for devices in loaded)
    assert {device for devices in loaded for device in devices} == {"gpu(0)", "gpu(1)"}
    assert sum(map(len, loaded)) > len(lost) > 0


def test_doctor_visits_every_executor(gpus: tuple, pretended: Path, tmp_path: Path) -> None:
    amounts = {"spark_executor_cores": "2", "spark_executor_resource_gpu_amount": "1"}
    doctor = ["doctor", "--device", "gpu", "--model", str(PACK)]
    process = submit(gpus, pretended, tmp_path / "out", *doctor, **amounts)
    report = process.communicate(timeout=300)[0]
    print(report)
    for address in gpus[2]:
        assert re.search(rf"assigned GPUs +{address}$", report, re.MULTILINE)
    assert len(re.findall(r"^executor \d+ on ", report, re.MULTILINE)) == 2
    assert re.search(r"answers its golden inputs on gpu\(1\)", report)
    # Only ONNX Runtime pretends: PyTorch has no GPU here.
    assert "PyTorch device: gpu (expected: a GPU that PyTorch can see" in report
    assert process.returncode == 1
