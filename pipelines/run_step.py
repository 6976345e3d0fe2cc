"""The one door through which a step runs, for the command line, DVC and Airflow alike.

``python -m pipelines.run_step NAME`` works on the checkout it stands in. A step that belongs to
the model's environment is handed on to that environment's Python. Every step leaves OpenLineage
events: start, then complete or fail.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipelines import flow, quiet, wiring
from pipelines.errors import ClewError, by_exit_code
from pipelines.layout import Layout, state
from pipelines.ports import Context

INSIDE = "--inside"
MARK_VARIABLE = "CLEW_STEP_MARK"


def run(name: str, context: Context, **arguments: object) -> Any:  # noqa: ANN401 - a step's record
    """Run one step in this process and return its record; lineage is told.

    Raises what the step raises. A step of the model's environment runs there instead, and its
    error comes back as the same kind of error.
    """
    from pipelines.lineage import observed

    step = flow.step(name)
    with observed(step, context, wiring.lineage(context.state)) as watched:
        if step.environment == "model":
            return _in_model_environment(step, context)
        record = _call(step, context, arguments)
        watched.result(getattr(record, "promotion", record))
        return record


def restored(name: str, context: Context) -> None:
    """Tell lineage that a step's outputs were there already, so that it did not run again."""
    from pipelines.lineage import cached

    cached(flow.step(name), context, wiring.lineage(context.state))


def refusal(name: str, layout: Layout) -> ClewError | None:
    """Return the error with which a step's stored result refuses what comes after it."""
    step = flow.step(name)
    if not step.refusal:
        return None
    found: ClewError | None = importlib.import_module(step.module).refusal(layout)
    return found


def _call(step: flow.Step, context: Context, arguments: dict[str, object]) -> Any:  # noqa: ANN401
    return importlib.import_module(step.module).run(context, **arguments)


def _in_model_environment(step: flow.Step, context: Context) -> None:
    from pipelines.environments import model_python

    python = model_python(context.layout.model_lock, context.state)
    done = subprocess.run(  # noqa: S603
        [str(python), "-m", "pipelines.run_step", step.name, INSIDE],
        cwd=context.layout.root,
        env=quiet.environment(context.state),
        check=False,
    )
    if done.returncode:
        raise _Told(step.name, done.returncode)


class StepFailed(ClewError):
    """A step's process failed and has said why; its exit code is handed on."""

    def __init__(self, name: str, code: int) -> None:
        kind = by_exit_code(code)
        super().__init__(
            f"the step {name} failed",
            observed=f"exit code {code} ({kind.__name__})",
            hint="read the message of the step above",
        )
        self.exit_code = code  # type: ignore[misc]
        self.retryable = kind.retryable  # type: ignore[misc]


class _Told(StepFailed):
    """The step's own process has printed what is wrong; only its exit code is handed on."""

    def __str__(self) -> str:
        return ""


def main(words: list[str]) -> int:
    """Run the step that the command line names; return its exit code."""
    name, inside = words[0], INSIDE in words
    here = Layout(Path.cwd())
    try:
        step = flow.step(name)
        context = wiring.context(here, state(here.root))
        if mark := os.environ.get(MARK_VARIABLE):
            Path(mark).touch()
        if inside:
            _call(step, context, {})
        else:
            run(name, context)
        found = None if inside else refusal(name, here)
    except ClewError as error:
        if str(error):
            print(error, file=sys.stderr)
        return error.exit_code
    if found:
        print(found, file=sys.stderr)
    return 0


if __name__ == "__main__":
    os.environ.update(quiet.TELEMETRY_OFF | quiet.ONE_THREAD)
    sys.exit(main(sys.argv[1:]))
