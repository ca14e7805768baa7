"""What Lakegen's DAGs share: options as Params, the operator around spark-submit, and the check of an output.

Nothing here runs when a DAG file is parsed, but for reading the JSON file of options beside it.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context, Param, task
from airflow.sdk.exceptions import AirflowFailException

# Written by AirflowOptionsTest from the definitions that the command line is made of.
JOBS: dict[str, dict] = json.loads((Path(__file__).parent / "lakegen_options.json").read_text(encoding="utf-8"))

JAR = "{{ var.value.lakegen_jar }}"
MAIN = "io.lakegen.jobs.cli.Main"

# A retry resumes: rows that are committed are neither read nor scored again. The first delay is Airflow's
# core.default_task_retry_delay, five minutes unless set.
DEFAULT_ARGS = {"retries": 3, "retry_exponential_backoff": 2.0}

ERROR_BUDGET_EXCEEDED = 3


def param(job: str, option: str, **changes: Any) -> Param:
    """A job's option as a Param; `changes` may give it another default, or say more about its values."""
    schema = {**JOBS[job]["options"][option], **changes}
    default, description = schema.pop("default"), schema.pop("description")
    if default is None:
        schema["type"] = ["null", schema["type"]]
        if "enum" in schema:
            schema["enum"] = [None, *schema["enum"]]
    return Param(default, description, **schema)


def required(job: str, option: str) -> Param:
    """An option without a default, which whoever triggers the DAG must give."""
    schema = {name: value for name, value in JOBS[job]["options"][option].items() if name != "default"}
    description = schema.pop("description")
    least = {"minItems": 1} if schema["type"] == "array" else {"minLength": 1}
    return Param(description=description, **schema, **least)


def arguments(job: str, values: dict[str, Any]) -> list[str]:
    """The command line of a job; None stands for an option that is not given."""
    words = [job]
    for name, value in values.items():
        if name not in JOBS[job]["options"]:
            raise ValueError(f"{name}: no option of {job} (expected: one of {', '.join(JOBS[job]['options'])})")
        if value is True:
            words.append(f"--{name}")
        elif value is not None and value is not False:
            words += [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]
    return words


class LakegenOperator(SparkSubmitOperator):
    """Runs a job with spark-submit.

    Its options are the DAG run's params and those given here, which win. A param has an option's name with underscores
    for dashes; one with the job's name before it, as in `caption_max_new_tokens`, is for that job only.

    :param job: the job's name
    :param options: its options by their names on the command line (templated)
    """

    template_fields = (*SparkSubmitOperator.template_fields, "options")

    def __init__(self, *, job: str, options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("pool", "gpu")
        super().__init__(application=JAR, java_class=MAIN, name=f"lakegen {job} {{{{ run_id }}}}", **kwargs)
        self.job = job
        self.options = options or {}

    def execute(self, context: Context) -> None:
        params, chosen = context["params"], {}
        for option in JOBS[self.job]["options"]:
            name = option.replace("-", "_")
            for key in (name, f"{self.job}_{name}"):
                if key in params:
                    chosen[option] = params[key]
        self.application_args = arguments(self.job, {**chosen, **self.options})
        try:
            super().execute(context)
        except Exception as failure:
            if self._exit_status() == ERROR_BUDGET_EXCEEDED:
                raise AirflowFailException(
                    f"{self.job}: error budget exceeded, see --max-error-rate; the rows are committed,"
                    f" error rows in {self.options.get('output', chosen.get('output'))}/_errors"
                ) from failure
            raise

    def _exit_status(self) -> int | None:
        """The driver's, where spark-submit or Kubernetes tells it."""
        hook = self._hook
        if hook is None or hook._submit_sp is None:
            return None
        return hook._spark_exit_code or hook._submit_sp.returncode

    def _get_hook(self):
        # `durable`, which is on unless it is switched off, finds the driver of a worker that died. Standalone clusters
        # need nothing for it, YARN needs to be asked about the application and Kubernetes about the driver's pod.
        hook = super()._get_hook()
        if self.durable and hook._connection["deploy_mode"] == "cluster":
            if hook._is_yarn and not self._yarn_track_via_rm_api:
                self._yarn_track_via_rm_api = True
                return super()._get_hook()
            if hook._is_kubernetes and not self._track_driver_via_k8s_api:
                self._track_driver_via_k8s_api = True
                return super()._get_hook()
        return hook


def status(jar: str, output: str) -> dict[str, Any]:
    """What `lakegen status OUTPUT --json` says."""
    submit = ["spark-submit", "--master", "local[1]", "--deploy-mode", "client", "--class", MAIN, jar]
    done = subprocess.run([*submit, "status", output, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"lakegen status {output}: exit status {done.returncode}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout)


@task(task_id="check", multiple_outputs=False)
def check(jar: str, output: str, *, params, outlets, outlet_events) -> dict[str, Any]:
    """Fails, without a retry, unless the output holds rows and keeps within the error budget.

    A job's exit status judges the rows of one attempt; this judges all of the output, whatever the number of attempts.
    The manifest's place and counts go into an event of the task's Asset, where it has one.
    """
    now = status(jar, output)
    ok, failed = now["counts"]["ok"], now["counts"]["failed"]
    if ok == 0:
        raise AirflowFailException(f"{output}: {ok} good rows, {failed} error rows (expected: at least one good row)")
    rate = failed / (ok + failed)
    if rate > params["max_error_rate"]:
        errors = ", ".join(f"{error['type']} {error['rows']}" for error in now["errors"])
        raise AirflowFailException(
            f"{output}: error rate {rate:.4f} (expected: at most {params['max_error_rate']}): {errors}"
        )
    published = {
        "output": output,
        "manifest": f"{output}/_lakegen/commits",
        "run_ids": [run["run_id"] for run in now["runs"]],
        "rows": {"input": now["counts"]["input"], "ok": ok, "failed": failed},
    }
    for asset in outlets:
        outlet_events[asset].extra = published
    return published
