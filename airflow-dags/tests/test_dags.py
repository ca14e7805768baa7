"""The DAG files, without running them."""

import subprocess
import sys
from pathlib import Path

import lakegen_airflow
import pytest
import run_local
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

DAGS = Path(run_local.__file__).parent

# What reaches beyond the process; sqlite3 would be Airflow's database, which Variables and Connections are in.
WORK = ("subprocess.Popen", "os.system", "os.exec", "socket.connect", "socket.getaddrinfo", "sqlite3.connect")
PARSE = f"""
import sys, warnings
import airflow.sdk, airflow.providers.apache.spark.operators.spark_submit, airflow.sdk.exceptions
def forbid(event, args):
    if event in {WORK}:
        raise AssertionError(event + str(args))
warnings.simplefilter("error")
sys.addaudithook(forbid)
sys.path.insert(0, "{DAGS}")
import lakegen_daily, lakegen_jobs
"""


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(DAGS)


def test_they_import_without_error_or_warning(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}
    assert set(bag.dags) == {"lakegen_daily", *(f"lakegen_{job}" for job in lakegen_airflow.JOBS)}


def test_parsing_them_does_no_work() -> None:
    subprocess.run([sys.executable, "-c", PARSE], check=True)
    at_work = PARSE + "import subprocess; subprocess.run(['true'])"
    failed = subprocess.run([sys.executable, "-c", at_work], capture_output=True, text=True)
    assert "AssertionError: subprocess.Popen" in failed.stderr


def test_ruff_finds_nothing_to_say_about_airflow() -> None:
    subprocess.run([sys.executable, "-m", "ruff", "check", "--select", "AIR", "--preview", DAGS], check=True)


def test_every_run_is_alone_and_every_task_retries_with_backoff(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.max_active_runs == 1
        assert not dag.catchup
        for task in dag.tasks:
            assert (task.retries, task.retry_exponential_backoff) == (3, 2.0)
            is_job = isinstance(task, lakegen_airflow.LakegenOperator)
            assert task.pool == ("gpu" if is_job else "default_pool")
            assert not is_job or task.durable


def job(bag: DagBag, name: str, **params) -> DAG:
    dag = bag.dags[f"lakegen_{name}"]
    needed = {"input": ["in"], "model": "pack", "output": "out"}
    for key, value in {**needed, **params}.items():
        dag.params[key] = value
    dag.params.validate()
    return dag


@pytest.mark.parametrize("name", lakegen_airflow.JOBS)
def test_every_option_is_a_param(name: str) -> None:
    dag = job(DagBag(DAGS), name)
    options = set(lakegen_airflow.JOBS[name]["options"])
    assert {param.replace("_", "-") for param in dag.params} == options - {"dry-run"}


@pytest.mark.parametrize(
    ("name", "param", "value", "message"),
    [
        ("caption", "max_new_tokens", 0, "0 is less than the minimum of 1"),
        ("caption", "max_new_tokens", "many", "'many' is not of type 'integer'"),
        ("caption", "thumbnail", 2000, "2000 is greater than the maximum of 1024"),
        ("generate", "top_p", 0, "0 is less than or equal to the minimum of 0"),
        ("render", "scheduler", "Euler", "'Euler' is not one of"),
        ("embed", "max_error_rate", 1.5, "1.5 is greater than the maximum of 1"),
        ("embed", "input", [], "[] should be non-empty"),
        ("embed", "model", "", "'' should be non-empty"),
    ],
)
def test_params_know_what_values_they_take(name: str, param: str, value: object, message: str) -> None:
    with pytest.raises(ParamValidationError) as refused:
        job(DagBag(DAGS), name, **{param: value})
    assert message in str(refused.value)


def test_input_model_and_output_must_be_given() -> None:
    with pytest.raises(ParamValidationError, match="No value passed"):
        DagBag(DAGS).dags["lakegen_embed"].params.validate()


def test_a_command_line_has_what_was_given() -> None:
    values = {"input": ["a", "b"], "model": "m", "seed": 0, "do-sample": True, "no-chat-template": False, "limit": None}
    assert lakegen_airflow.arguments("generate", values) == [
        *("generate", "--input=a", "--input=b", "--model=m", "--seed=0", "--do-sample")
    ]
    with pytest.raises(ValueError, match=r"max-tokens: no option of generate \(expected: one of input, "):
        lakegen_airflow.arguments("generate", {"max-tokens": 5})


def test_durable_on_yarn_follows_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SPARK_DEFAULT",
        '{"conn_type": "spark", "host": "yarn", "extra": {"deploy-mode": "cluster",'
        ' "yarn_resourcemanager_webapp_address": "http://rm:8088"}}',
    )
    hook = lakegen_airflow.LakegenOperator(task_id="embed", job="embed")._get_hook()
    assert hook._should_track_yarn_application_via_rm_api()
    hook._validate_yarn_track_via_rm_api_config()
    once = lakegen_airflow.LakegenOperator(task_id="embed", job="embed", durable=False)._get_hook()
    assert not once._should_track_yarn_application_via_rm_api()


def test_durable_on_kubernetes_follows_the_pod_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SPARK_DEFAULT",
        '{"conn_type": "spark", "host": "k8s://https://kubernetes", "port": 443,'
        ' "extra": {"deploy-mode": "cluster", "namespace": "spark"}}',
    )
    hook = lakegen_airflow.LakegenOperator(task_id="embed", job="embed")._get_hook()
    assert hook._should_track_driver_via_k8s_api()
    hook._validate_track_driver_via_k8s_api_config()
