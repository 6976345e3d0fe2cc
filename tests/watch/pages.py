"""Reports of the watch made up of columns of values, without a model or a ledger."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.data import sketch
from pipelines.data.cube import Cube
from pipelines.data.sketch import Axis, Sketch
from pipelines.release.baseline import Baseline, Scored
from pipelines.watch import drift, report
from pipelines.watch.findings import Finding, WatchReport, with_actions
from pipelines.watch.profile import WindowProfile
from pipelines.watch_params import WatchActions, WatchParams

NOBODY = Cube(attributes=(), cells=())
EMPTY_AXIS = sketch.number_axis(np.empty(0))
UNSCORED = Scored(margins=sketch.NumberTally(EMPTY_AXIS).sketch(), counts=(0,) * 12)
Columns = Mapping[str, Sequence[Any]]


def arrow(values: Sequence[Any]) -> pa.Array:
    """Return a column: text where any value is, else numbers."""
    text = any(isinstance(each, str) for each in values)
    return pa.array(list(values), pa.string() if text else pa.float64())


def axes(reference: Columns) -> dict[str, Axis]:
    """Return how the columns of a reference are counted."""
    found: dict[str, Axis] = {}
    for name, values in reference.items():
        column = arrow(values)
        if pa.types.is_string(column.type):
            found[name] = sketch.category_axis(Counter(dict(sketch.counted(column))), True)
        else:
            found[name] = sketch.number_axis(sketch.floats(column))
    return found


def counted(columns: Columns, along: Mapping[str, Axis]) -> dict[str, Sketch]:
    """Count columns along axes."""
    found = {}
    for name, axis in along.items():
        tally = sketch.tally(axis)
        tally.add(arrow(columns[name]))
        found[name] = tally.sketch()
    return found


def baseline(reference: Columns) -> Baseline:
    """Return a version's reference with these columns."""
    along = axes(reference)
    return Baseline(
        snapshot_id="s",
        candidate_id="c",
        contract_sha256="c",
        rows=len(next(iter(reference.values()))),
        axes=along,
        columns=counted(reference, along),
        groups={},
        former=NOBODY,
        tested=NOBODY,
        margin_axis=EMPTY_AXIS,
        scored=UNSCORED,
    )


def profile(window: Columns, known: Baseline) -> WindowProfile:
    """Return a window with these columns."""
    return WindowProfile(
        baseline_sha256="b",
        decisions=len(next(iter(window.values()))),
        erased=0,
        versions={},
        bases={},
        absent={},
        columns=counted(window, known.axes),
        cube=NOBODY,
        scored=UNSCORED,
        reasons={},
        contributions={},
        delays={},
    )


def finding(**changes: Any) -> Finding:
    """Return a finding that alarms and asks for a retrain."""
    said: dict[str, Any] = {
        "check": "drift",
        "of": "income",
        "measure": "psi",
        "status": "alarm",
        "said": "income: PSI 0.500, at most 0.2",
        "value": 0.5,
        "bound": 0.2,
        "floor": 0.01,
        "p_adjusted": 0.0001,
        "n": 400,
        "action": "retrain",
    }
    return Finding(**(said | changes))


def report_of(*found: Finding, **changes: Any) -> WatchReport:
    """Return a report of October with these findings."""
    digest = hashlib.sha256(b"x").hexdigest()
    said: dict[str, Any] = {
        "model_name": "applicants",
        "version": "1",
        "files_sha256": digest,
        "baseline_sha256": digest,
        "start": "2026-10-01T00:00:00+00:00",
        "end": "2026-11-01T00:00:00+00:00",
        "params_sha256": digest,
        "policy": "pack",
        "policy_sha256": digest,
        "profile_id": None,
        "former_id": None,
        "decisions": 400,
        "findings": found,
        "tables": {},
    }
    return WatchReport(**(said | changes))


def judged(known: Baseline, now: WindowProfile) -> WatchReport:
    """Judge a window's columns under the default limits."""
    limits = WatchParams()
    found = drift.of_columns(now.columns, known.columns, known.axes, limits)
    return report_of(*with_actions(found, WatchActions()), decisions=now.decisions)


def drawn(made: WatchReport, now: WindowProfile | None, known: Baseline | None) -> Any:
    """Return Evidently's snapshot of a report."""
    return report.snapshot(made, made, report.content(made, now, known))
