"""A DAG for every job, with all of its options as parameters, to be triggered by hand or by another DAG."""

from airflow.sdk import DAG
from lakegen_airflow import DEFAULT_ARGS, JAR, JOBS, LakegenOperator, check, param, required

REQUIRED = ("input", "model", "output")

# A run that is to check and write nothing leaves no output to check.
LEFT_OUT = ("dry-run",)

for job, definition in JOBS.items():
    with DAG(
        f"lakegen_{job}",
        doc_md=definition["description"],
        schedule=None,
        max_active_runs=1,
        default_args=DEFAULT_ARGS,
        tags=["lakegen"],
        params={
            option.replace("-", "_"): required(job, option) if option in REQUIRED else param(job, option)
            for option in definition["options"]
            if option not in LEFT_OUT
        },
    ):
        LakegenOperator(task_id=job, job=job) >> check(JAR, "{{ params.output }}")
