"""A decision's thread in the form that the picture is drawn from."""

from __future__ import annotations

from typing import Final

from pipelines.account.trace import Thread as Decided
from pipelines.lineage.graph import StepRun, Thread, Version

# What made a knot of each kind; the run is the step that made the model.
MAKERS: Final = {
    "snapshot": "snapshot",
    "split": "split",
    "model": "train",
    "verdict": "gate",
    "version": "register",
    "approval": "approve",
    "promotion": "promote",
    "decision": "decide",
}
STEPS: Final = ("run", "DAG run")
NAMESPACE: Final = "clew"


def drawn(found: Decided) -> Thread:
    """Return a decision's thread as steps and the data between them, for `picture.draw`."""
    knots = {each.kind: each for each in found.knots}
    data = {
        kind: Version(NAMESPACE, kind, each.id, frozenset({each.id}))
        for kind, each in knots.items()
        if kind not in STEPS
    }

    def inputs(kind: str) -> list[str]:
        through = (knots[name].of if name in STEPS else (name,) for name in knots[kind].of)
        return [name for names in through for name in names]

    runs = tuple(
        StepRun(
            id=f"{step} of {found.decision_id}",
            step=step,
            run=knots["run"].id,
            commit=knots["commit"].id,
            airflow_run="",
            started=knots[kind].told,
            state="complete",
            inputs=tuple(data[name].key for name in inputs(kind)),
            outputs=(data[kind].key,),
        )
        for kind, step in MAKERS.items()
        if kind in knots
    )
    asked = frozenset({("version", data["decision"].key)})
    return Thread(found.decision_id, runs, {each.key: each for each in data.values()}, asked)
