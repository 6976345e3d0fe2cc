"""Decide about a file that landed, or about a run's snapshot; every row is recorded first.

Each row is decided by the champion and sealed in the ledger before it is written out. Killed and
tried again it goes on where the ledger ends; the same file again gives the same decisions, and is
not announced a second time.

How to trigger, what each field means, what comes out: docs/how-to/score-a-file.md.
"""

from __future__ import annotations

from _assets import DECISIONS, Publish
from _forms import text
from _links import Decisions
from _step_task import DEFAULTS, ClewTask, answered
from airflow.sdk import DAG, Param

with DAG(
    "score_batch",
    schedule=None,
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=["clew", "decisions"],
    doc_md=__doc__,
    params={
        "file": text(
            "File",
            "A file of the landing folder, by its name there: CSV, Parquet or JSON Lines.",
            r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$",
        ),
        "snapshot": text(
            "Snapshot",
            "Instead of a file: a commit or run id whose snapshot is decided about.",
            r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        ),
        "format": Param(
            "parquet",
            type="string",
            enum=["parquet", "jsonl"],
            title="Format",
            description="How the decisions are written.",
        ),
        "challenger": text(
            "Challenger",
            "A version that runs in shadow: its result is recorded and never given out.",
            r"^[1-9][0-9]*$",
        ),
    },
) as dag:
    score = ClewTask(
        task_id="score",
        words=[
            "score",
            "{{ '--file=' ~ params.file if params.file else '' }}",
            "{{ '--snapshot=' ~ params.snapshot if params.snapshot else '' }}",
            "--format={{ params.format }}",
            "{{ '--challenger=' ~ params.challenger if params.challenger else '' }}",
        ],
    )
    score.operator_extra_links = (Decisions(),)
    publish = Publish(
        task_id="publish",
        asset=DECISIONS,
        identity="batch",
        extra={
            "batch": answered("score", "batch"),
            "version": answered("score", "version"),
            "rows": answered("score", "rows"),
            "out": answered("score", "out"),
        },
    )
    score >> publish
