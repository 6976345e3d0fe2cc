"""Watch a window of recorded decisions, show what was found, and act on it as the params say.

Runs on the cron of `params.yaml`, over the last whole period, and by hand over any window. Files
of outcomes that landed are recorded first. A window of more decisions than `watch.rows_per_part` is
counted in parts, a mapped task each. A finding is no failure: what is asked for is done in a
task of its own, once a window and version. `retrain` announces that a new candidate is wanted,
which `train_model` takes up; `stop` refers everything to people; people are told of each finding,
and of a watch that failed. An alert that reaches nobody makes the run red.

How to trigger, what each field means, what red means: docs/how-to/watch.md.
"""

from __future__ import annotations

from _assets import RETRAIN_WANTED, Publish
from _forms import params, text
from _links import Watch
from _parts import Parts
from _step_task import DEFAULTS, ClewTask, answered
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule

MOMENT = r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?"
ASKED = (
    "{{ '--window=' ~ params.window if params.window else '' }}",
    "--due={{ dag_run.run_after.isoformat() }}",
)
PLAN = (
    "{% set plan = ti.xcom_pull(task_ids='parts', key='plan') %}"
    "{{ '--plan=' ~ plan if plan else '' }}"
)
OF = (f"--window={answered('watch', 'window')}", f"--report={answered('watch', 'report')}")
WATCHED = "(ti.xcom_pull(task_ids='watch') or {})"

with DAG(
    "watch_decisions",
    schedule=CronTriggerTimetable(params().schedules.watch_decisions, timezone="UTC"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=["clew", "decisions"],
    doc_md=__doc__,
    params={
        "window": text(
            "Window",
            "A month, ISO week or day (2026-10, 2026-W41, 2026-10-05), or two moments with / "
            "between; empty: the last whole period before this run was due.",
            rf"^(\d{{4}}-(\d{{2}}|W\d{{2}})|{MOMENT}(/{MOMENT})?)$",
        ),
    },
) as dag:
    outcomes = ClewTask(task_id="outcomes", words=["outcomes"])
    parts = Parts(task_id="parts", words=["watch-parts", *ASKED], trigger_rule=TriggerRule.ALL_DONE)
    count = ClewTask.partial(task_id="count").expand(words=parts.output)
    # Without every part the window is counted whole: slower, and the same.
    watch = ClewTask(
        task_id="watch", words=["watch", *ASKED, PLAN], trigger_rule=TriggerRule.ALL_DONE
    )
    report = ClewTask(task_id="report", words=["watch-report", *OF])
    report.operator_extra_links = (Watch(),)
    stop = ClewTask(
        task_id="stop",
        words=["watch-stop", *OF],
        skip=f"{{{{ '' if {WATCHED}.get('stop') else 'no finding asks for it' }}}}",
    )
    retrain = Publish(
        task_id="retrain",
        asset=RETRAIN_WANTED,
        identity="request",
        extra={
            name: f"{{{{ ({WATCHED}.get('retrain') or {{}}).get('{name}') or '' }}}}"
            for name in ("request", "window", "version", "reason", "report")
        },
        once=True,
    )
    # Told though the page failed; a watch that failed is told of by `failure`.
    alert = ClewTask(
        task_id="alert",
        words=["watch-alert", *OF, f"--page={answered('report', 'page')}"],
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    )
    failure = ClewTask(
        task_id="failure",
        words=["watch-alert", f"--window={answered('watch', 'window')}"],
        trigger_rule=TriggerRule.ONE_FAILED,
    )
    # Ends the run: an alert that went out must not make a watch that failed look green.
    done = EmptyOperator(task_id="done", trigger_rule=TriggerRule.NONE_FAILED)
    outcomes >> parts >> count >> watch >> [report, stop, retrain]
    [watch, report] >> alert
    [outcomes, watch, report, stop, retrain] >> failure
    [outcomes, parts, count, watch, report, stop, retrain, alert, failure] >> done
