"""Augments a lake by the day.

Captions the pictures below `LAKE/images/date=DAY`, embeds the captions, writes variants of them and renders those.
Every table has a folder for the day, `LAKE/captions/date=DAY` and so on, which is an output of its own: a retry, or a
second run of the day, goes on where the last one stopped and reads nothing again that is done, and a picture that came
late is the only one that the next run does. Each table is checked, and its manifest published as an Asset, before the
next job reads it.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, TaskGroup
from lakegen_airflow import DEFAULT_ARGS, JAR, LakegenOperator, check, param

LAKE = "{{ var.value.lakegen_lake }}"


def table(name: str, job: str, source: str, **options: Any) -> TaskGroup:
    """A job that makes a day of a table out of a day of another one, and the check of what it made."""
    output = f"{LAKE}/{name}/date={{{{ ds }}}}"
    options = {
        "input": f"{LAKE}/{source}/date={{{{ ds }}}}",
        "model": f"{{{{ var.json.lakegen_models.{job} }}}}",
        "output": output,
        **options,
    }
    with TaskGroup(name) as group:
        run = LakegenOperator(task_id=job, job=job, options=options)
        run >> check.override(outlets=[Asset(f"lakegen_{name}")])(JAR, output)
    return group


with DAG(
    "lakegen_daily",
    doc_md=__doc__,
    # A day's run starts when the day is over, and `ds` is that day.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["lakegen"],
    params={
        "mode": param("caption", "mode"),
        "commit_every": param("caption", "commit-every"),
        "max_error_rate": param("caption", "max-error-rate"),
        "device": param("caption", "device"),
        "seed": param("caption", "seed"),
        "caption_max_new_tokens": param("caption", "max-new-tokens"),
        "generate_template": param("generate", "template", default="{caption}:"),
        "generate_max_new_tokens": param("generate", "max-new-tokens"),
        "generate_do_sample": param("generate", "do-sample", default=True),
        "generate_temperature": param("generate", "temperature"),
        "generate_num_return_sequences": param("generate", "num-return-sequences", default=2),
        "render_num_inference_steps": param("render", "num-inference-steps", default=20),
        "render_guidance_scale": param("render", "guidance-scale"),
    },
):
    captions = table("captions", "caption", "images")
    embeddings = table("embeddings", "embed", "captions", column="caption", select=["path", "caption"])
    variants = table("variants", "generate", "captions", select=["path", "caption"])
    renders = table(
        "renders", "render", "variants", column="text", select=["path", "caption", "sequence_index", "text"]
    )
    captions >> [embeddings, variants]
    variants >> renders
