"""What the driver's Prometheus endpoint says of a job on a real cluster."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from conftest import ENVIRONMENT, LINES, ROOT, SPARK_HOME, embed_options

PREFIX = "metrics_lakegen_driver_plugin_io_lakegen_spark_LakegenPlugin_total_"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scrape(url: str) -> dict[str, float]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):  # the driver has not begun to listen, or has ended
        return {}
    found = re.findall(rf"^{PREFIX}(\w+?)_Value{{\S* (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_the_drivers_endpoint_sums_the_executors(cluster: tuple[str, list[Path]], texts: Path, tmp_path: Path) -> None:
    port = free_port()
    sink = "spark.metrics.conf.*.sink.prometheusServlet"
    settings = {
        "spark.ui.port": str(port),
        # Without it the application's id is in the names.
        "spark.metrics.namespace": "lakegen",
        f"{sink}.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        f"{sink}.path": "/metrics/prometheus",
    }
    process = subprocess.Popen(
        [
            SPARK_HOME / "bin/spark-submit",
            *("--master", cluster[0], "--driver-memory", "1g", "--executor-memory", "1g"),
            *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
            ROOT / "jobs/target/lakegen-jobs.jar",
            *embed_options(texts, tmp_path / "out"),
        ],
        env=ENVIRONMENT,
    )
    last: dict[str, float] = {}
    while process.poll() is None:
        last = scrape(f"http://127.0.0.1:{port}/metrics/prometheus") or last
        time.sleep(0.2)
    assert process.returncode == 0
    print(last)
    assert 0 < last["rows"] <= len(LINES)
    assert 1 <= last["model_loads"] <= 2
    assert last["fenced_devices"] == 0
    assert last["batches"] > 0
    assert 0 < last["device_busy_nanos"] <= last["device_nanos"]
    dashboard = json.loads((ROOT / "conf/grafana-dashboard.json").read_text())
    expressions = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    plotted = set(re.findall(r"\bmetrics_\w+", expressions))
    assert plotted == {f"{PREFIX}{name}_Value" for name in last}
