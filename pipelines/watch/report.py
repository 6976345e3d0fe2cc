"""The page of a watched window: Evidently draws the numbers that were judged, and no others.

Everything comes from the stored report, the window's profile and the version's baseline, which hold
counts and no one's row. So the page of 10^8 decisions is as quick to draw as that of 10^4, and its
curves are the very counts that were compared, not a sample of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from pipelines.data import sketch
from pipelines.data.sketch import Axis, Categories, CategoryAxis, NumberAxis, Numbers, Sketch
from pipelines.records import Json
from pipelines.release.baseline import Baseline
from pipelines.release.reports import (
    CELL,
    HOLDS,
    as_planned,
    plain_table,
    protect_all,
    unprotected,
    without_copies,
)
from pipelines.watch import evidently_metrics
from pipelines.watch.findings import Finding, WatchReport
from pipelines.watch.places import Places, window_of
from pipelines.watch.profile import WindowProfile
from pipelines.whole_file import write_whole

CHARTS: Final = 12
WIDEST: Final = 9  # columns; the widest table decides how wide the page is
DIGITS: Final = 5  # of what is drawn
CATEGORIES_DRAWN: Final = 12
NEW: Final = "(not seen in training)"
Table = dict[str, Any]


def content(
    made: WatchReport, profile: WindowProfile | None, baseline: Baseline | None
) -> dict[str, Any]:
    """Return all that the page shows, as plain data whose texts cannot end a script."""
    charts = columns = []
    if profile is not None and baseline is not None:
        charts = [
            each for name in _drawn(made, baseline) for each in _chart(name, profile, baseline)
        ]
        columns = [_columns(profile, baseline)]
    shown = {
        "counters": [[name, str(value)] for name, value in counters(made).items()],
        HOLDS: [float(each.status == "ok") for each in made.findings],
        evidently_metrics.VALUES: values(made),
        "tables": [_findings(made), _bound(made), *_said(made), *columns, *_tables(made.tables)],
        "charts": charts,
    }
    safe: dict[str, Any] = protect_all(shown)
    return safe


def counters(made: WatchReport) -> dict[str, object]:
    """Return what stands on top of the page."""
    return {
        "alarms": len(made.alarms),
        "action": made.action,
        "decisions": made.decisions,
    }


def values(made: WatchReport) -> dict[str, list[list[str | float]]]:
    """Return the numbers that were judged, by check: of what, which measure, value."""
    found: dict[str, list[list[str | float]]] = {}
    for each in made.findings:
        if each.value is not None:
            found.setdefault(each.check, []).append([each.of, each.measure, each.value])
    alarms: list[list[str | float]] = [["alarms", "count", float(len(made.alarms))]]
    return {"watch": alarms} | found


def _findings(made: WatchReport) -> Table:
    columns = ("status", "check", "of", "measure", "value", "bound", "chance", "p", "n", "action")
    return plain_table("Findings, the worst first", columns, map(_row, made.findings))


def _bound(made: WatchReport) -> Table:
    """Return what the report is about and bound to."""
    rows = (
        ("model", f"{made.model_name} version {made.version}"),
        ("window", f"{made.start} to {made.end}"),
        ("policy pack", made.policy),
        ("report", made.id),
    )
    return plain_table("Watched", ("what", "which"), rows)


def _said(made: WatchReport) -> Iterator[Table]:
    """Yield in words what could not be measured, where there is any."""
    rows = [(each.status, each.key, each.said) for each in made.findings if each.value is None]
    if rows:
        yield plain_table("Without a number", ("status", "finding", "said"), rows)


def _row(each: Finding) -> tuple[CELL, ...]:
    numbers = (each.value, each.bound, each.floor, each.p_adjusted, each.n)
    return (each.status, each.check, each.of, each.measure, *numbers, each.action)


def _columns(profile: WindowProfile, baseline: Baseline) -> Table:
    """Return a row a column, whatever is in it: none is left out for its type or its nulls."""
    head = ("column", "rows", "missing", "mean", "deviation", "other values")
    titles = ("column", *(f"{each}, {of}" for each in head[1:] for of in ("window", "reference")))
    rows = [
        (name, *_pairs(profile.columns[name], baseline.columns[name], axis))
        for name, axis in baseline.axes.items()
    ]
    return plain_table("Columns, window beside reference", titles, rows)


def _pairs(now: Sketch, then: Sketch, axis: Axis) -> Iterator[CELL]:
    for pair in zip(_summary(now, axis), _summary(then, axis), strict=True):
        yield from pair


def _summary(found: Sketch, axis: Axis) -> tuple[CELL, ...]:
    missing = found.missing / found.rows if found.rows else None
    if isinstance(found, Numbers) and isinstance(axis, NumberAxis) and found.count:
        spread = sketch.deviation(found, axis)
        return found.rows, missing, sketch.mean(found, axis), spread, found.not_finite
    return found.rows, missing, None, None, found.new if isinstance(found, Categories) else None


def _tables(tables: Mapping[str, Json]) -> Iterator[Table]:
    """Yield the report's own tables: a list of records as one, anything else by its keys."""
    for title, value in tables.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            yield from _records(title, value)
        elif value:
            pairs = value.items() if isinstance(value, dict) else enumerate(_listed(value))
            rows = [(str(name), _text(item)) for name, item in pairs]
            yield plain_table(title, ("name", "value"), rows)


def _records(title: str, records: Sequence[Any]) -> Iterator[Table]:
    """Yield records as tables that a window has room for, each with what the rows are of first."""
    names = list(dict.fromkeys(name for each in records for name in each))
    of = [name for name in names if any(isinstance(each.get(name), str) for each in records)]
    figures = [name for name in names if name not in of]
    room = max(WIDEST - len(of), 1)
    parts = [figures[at : at + room] for at in range(0, len(figures), room)] or [[]]
    for number, part in enumerate(parts, 1):
        shown = [*of, *part]
        yield plain_table(
            f"{title} ({number} of {len(parts)})" if len(parts) > 1 else title,
            [name.replace("_", " ") for name in shown],
            [[_text(each.get(name)) for name in shown] for each in records],
        )


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _text(value: object) -> CELL:
    if value is None or isinstance(value, (str, float)):
        return value
    return json.dumps(value)


def _drawn(made: WatchReport, baseline: Baseline) -> list[str]:
    """Return the columns whose counts are drawn: those that alarm, then the others."""
    alarmed = [each.of for each in made.alarms if each.of in baseline.axes]
    return list(dict.fromkeys([*alarmed, *baseline.axes]))[:CHARTS]


def _chart(name: str, profile: WindowProfile, baseline: Baseline) -> Iterator[dict[str, Any]]:
    """Yield the drawing of a column's counts; of one that nobody has a value of, none."""
    now, then, axis = profile.columns[name], baseline.columns[name], baseline.axes[name]
    if not now.count or not then.count:
        return
    if isinstance(now, Numbers) and isinstance(then, Numbers) and isinstance(axis, NumberAxis):
        edges, shares = _cumulated(now, then, axis)
        yield {"kind": "number", "title": name, "x": edges} | shares
    elif isinstance(axis, CategoryAxis):
        yield {
            "kind": "category",
            "title": name,
            "x": [*axis.known[:CATEGORIES_DRAWN], NEW],
            "reference": _shares(then),
            "window": _shares(now),
        }


def _cumulated(now: Numbers, then: Numbers, axis: NumberAxis) -> tuple[list[float], dict[str, Any]]:
    """Return the edges and, at each, the share of values that are not above it."""
    ends = [each for each in (now.maximum, then.maximum) if each is not None]
    edges = [*axis.edges, max([*ends, *axis.edges[-1:]])]
    x = [float(f"{each:.{DIGITS + 1}g}") for each in edges]
    return x, {"reference": _running(then), "window": _running(now)}


def _running(found: Numbers) -> list[float]:
    return [round(each / found.count, DIGITS) for each in accumulate(found.counts)]


def _shares(found: Sketch) -> list[float]:
    if not isinstance(found, Categories):
        return []
    drawn = (*found.counts[:CATEGORIES_DRAWN], found.new)
    return [round(each / found.count, DIGITS) for each in drawn]


def snapshot(made: WatchReport, stated: WatchReport, shown: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return Evidently's snapshot of a report, dated at the end of its window.

    `stated` is the report with what is said of the watch itself; `shown` its content. Raises
    IntegrityBroken when Evidently states another number of tests, or another status, than was
    planned.
    """
    found = evidently_metrics.snapshot(shown, stated.findings, **about(made))
    planned = [evidently_metrics.STATUS[each.status] for each in stated.findings]
    as_planned([result.status.value for result in found.tests_results], planned)
    return found


def about(made: WatchReport) -> dict[str, Any]:
    """Return what Evidently's snapshot of a report says of itself: dated at the window's end."""
    return {
        "timestamp": window_of(made).end.replace(tzinfo=None),
        "name": window_of(made).name,
        "tags": [made.action],
        "metadata": {"version": made.version, "report": made.id},
    }


def write(made: WatchReport, found: Any, places: Places) -> tuple[Path, Path]:  # noqa: ANN401
    """Write the page and Evidently's result of it; return both files. A second time is the same."""
    page, data = places.page(made), places.data(made)
    write_whole(page, unprotected(found.get_html_str(as_iframe=False)).encode())
    write_whole(data, unprotected(json.dumps(without_copies(found.dict()))).encode())
    return page, data


def metrics(made: WatchReport) -> dict[str, float]:
    """Return the report's numbers as a registry shows them over time, by dotted name."""
    flat = (
        (f"{check}.{of}.{measure}", float(value))
        for check, rows in values(made).items()
        for of, measure, value in rows
    )
    return dict(_named(flat))


def _named(found: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    from pipelines.release.shown import METRIC_NAME

    for name, value in found:
        yield METRIC_NAME.sub(lambda match: f"_x{ord(match[0]):x}", f"watch.{name}"), value
