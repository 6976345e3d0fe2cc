"""Evidently reports of checks: Evidently draws and states Clew's own numbers, and decides nothing.

Every line of a finding becomes one explicit Evidently test. The number of results and each status
must be what was planned, else IntegrityBroken. Evidently is imported here, inside functions: it
costs seconds.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipelines.errors import IntegrityBroken
from pipelines.records import Check, Outcome
from pipelines.release.checks._case import Bars, Finding, Line, Table

# Evidently writes text raw into a <script>. "<" travels as two characters that are none (a text
# that has the first gets the mark for an unknown one), which JSON writes as escapes, and comes out
# as the JSON escape of "<".
STANDS_FOR_LESS = "\ufdd0\ufdd1"
UNKNOWN = "\ufffd"
IN_JSON = "\\ufdd0\\ufdd1"
LESS_IN_JSON = "\\u003c"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)
STATUS: dict[Outcome, str] = {
    "pass": "SUCCESS",
    "fail": "FAIL",
    "error": "FAIL",
    "not-enough-data": "WARNING",
}
# Evidently copies a metric's whole configuration for each of its tests: few tests a metric.
AT_ONCE = 10
BARS_SHOWN = 14
HEIGHT = 480
ABOVE, BELOW = "#4a7ba6", "#b00020"
HOLDS, LINE, SHOWN = "holds", "line", "shown"
CELL = str | float | int | None


def write(check: Check, finding: Finding, folder: Path) -> None:
    """Write ``<name>.html`` and ``<name>.evidently.json`` of one check into `folder`.

    The HTML is self-contained. Raises IntegrityBroken when Evidently states another number of
    tests, or another status, than was planned.
    """
    snapshot = _snapshot(check, finding)
    planned = [STATUS[line.outcome] for line in stated(finding)]
    as_planned([result.status.value for result in snapshot.tests_results], planned)
    page, data = folder / f"{check.name}.html", folder / f"{check.name}.evidently.json"
    page.write_text(unprotected(snapshot.get_html_str(as_iframe=False)), encoding="utf-8")
    data.write_text(unprotected(json.dumps(without_copies(snapshot.dict()))), encoding="utf-8")


def without_copies(result: dict[str, Any]) -> dict[str, Any]:
    """Return Evidently's result without the copy of the whole metric in every one of its tests."""
    kept = ("name", "description", "status")
    tests = [{name: test[name] for name in kept} for test in result["tests"]]
    return {"metrics": result["metrics"], "tests": tests}


def stated(finding: Finding) -> tuple[Line, ...]:
    """Return the lines that are stated as tests: those that count."""
    return tuple(line for line in finding.lines if line.counts)


def protected(text: str) -> str:
    """Return text without the character that could end a script."""
    return text.replace(STANDS_FOR_LESS[0], UNKNOWN).replace("<", STANDS_FOR_LESS)


def unprotected(written: str) -> str:
    """Return what Evidently wrote with "<" of our texts as a JSON escape."""
    return written.replace(IN_JSON, LESS_IN_JSON)


def as_planned(statuses: Sequence[str], planned: Sequence[str]) -> None:
    """Raise IntegrityBroken unless Evidently states just the planned tests, and at least one."""
    if not planned or sorted(statuses) != sorted(planned):
        raise IntegrityBroken(
            "Evidently does not state the planned tests",
            observed=f"{len(statuses)} results: {', '.join(sorted(set(statuses)))}",
            expected=f"{len(planned)} results: {', '.join(sorted(set(planned)))}",
        )


def _snapshot(check: Check, finding: Finding) -> Any:  # noqa: ANN401 - Evidently has no types
    kinds = _kinds()
    lines = stated(finding)
    metrics = [
        kinds.metric(
            check=check.name,
            first=first,
            tests={HOLDS: _tests(kinds, lines[first : first + AT_ONCE], first)},
        )
        for first in range(0, len(lines), AT_ONCE)
    ]
    report = kinds.report(metrics, include_tests=False)
    shown = kinds.shown(json.dumps(_content(check, finding)))
    return report.run(shown, None, timestamp=EPOCH, name=check.name)


def _tests(kinds: SimpleNamespace, lines: tuple[Line, ...], first: int) -> list[Any]:
    return [
        kinds.at_least(
            1.0,
            is_critical=line.outcome != "not-enough-data",
            alias=_label(line),
            label_filters={LINE: str(number)},
        )
        for number, line in enumerate(lines, first)
    ]


def _label(line: Line) -> str:
    return protected(f"{line.name}: {line.observed}; expected: {line.expected}")


def _content(check: Check, finding: Finding) -> dict[str, Any]:
    """Return all that the report shows, as plain data with its texts protected."""
    lines = stated(finding)
    shown = [
        (line.name, line.outcome, line.observed, line.expected, "yes" if line.counts else "no")
        for line in finding.lines
    ]
    header = ("test", "outcome", "observed", "expected", "counts")
    tables = [each for each in finding.pictures if isinstance(each, Table)]
    bars = [each for each in finding.pictures if isinstance(each, Bars)]
    content = {
        "name": check.name,
        "outcome": check.outcome,
        HOLDS: [float(line.outcome == "pass") for line in lines],
        "tables": [
            plain_table("Result", ("observed", "expected"), [(check.observed, check.expected)]),
            plain_table("Every test of this check", header, shown),
            *(plain_table(table.title, table.columns, table.rows) for table in tables),
        ],
        "bars": [
            {
                "title": each.title,
                "labels": [protected(label) for label in each.labels],
                "values": list(each.values),
                "low": list(each.low),
                "high": list(each.high),
                "bound": each.bound,
            }
            for each in bars
        ],
    }
    protected_content: dict[str, Any] = protect_all(content)
    return protected_content


def plain_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[CELL]]
) -> dict[str, Any]:
    """Return a table as plain data, every cell as text."""
    cells = [[_cell(value) for value in row] for row in rows]
    return {"title": title, "columns": list(columns), "rows": cells}


def _cell(value: CELL) -> str:
    if value is None:
        return "undefined"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def protect_all(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return plain data with every text in it protected, keys left as they are."""
    if isinstance(value, str):
        return protected(value)
    if isinstance(value, dict):
        return {key: protect_all(item) for key, item in value.items()}
    return [protect_all(item) for item in value] if isinstance(value, list) else value


@functools.cache
def _kinds() -> SimpleNamespace:
    """Import Evidently and define our metric for it, once a process."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.core.metric_types import DataframeCalculation, DataframeMetric
    from evidently.tests import gte

    class CheckMetric(DataframeMetric):  # type: ignore[misc]
        """One check of Clew: a row a test, with 1 where it holds."""

        check: str
        first: int

    class CheckCalculation(DataframeCalculation[CheckMetric]):  # type: ignore[misc]
        def calculate(self, context: object, current: Any, reference: object) -> Any:  # noqa: ANN401, ARG002
            content = json.loads(current.as_dataframe()[SHOWN].iloc[0])
            first = self.metric.first
            holds = content[HOLDS][first : first + AT_ONCE]
            numbers = [str(number) for number in range(first, first + len(holds))]
            result = self.result(pd.DataFrame({LINE: numbers, HOLDS: holds}))
            result.widget = [] if first else _widgets(content)
            return result

        def display_name(self) -> str:
            return f"{self.metric.check} {self.metric.first // AT_ONCE + 1}"

    def shown(content: str) -> Any:  # noqa: ANN401
        """Return the data set that Evidently sees: our numbers in one cell, no row of the data."""
        frame = pd.DataFrame({SHOWN: [content]})
        return Dataset.from_pandas(frame, data_definition=DataDefinition(text_columns=[SHOWN]))

    return SimpleNamespace(metric=CheckMetric, report=Report, at_least=gte, shown=shown)


def _widgets(content: dict[str, Any]) -> list[Any]:
    from evidently.legacy.renderers.html_widgets import CounterData, counter, table_data

    outcome = CounterData(content["name"], content["outcome"])
    tables = [
        table_data(column_names=each["columns"], data=each["rows"], title=each["title"])
        for each in content["tables"]
    ]
    return [counter(counters=[outcome]), *map(_chart, content["bars"]), *tables]


def _chart(bars: dict[str, Any]) -> Any:  # noqa: ANN401
    """Draw the lowest bars, the lowest on top, those below the bound in another colour."""
    import plotly.graph_objects as go
    from evidently.legacy.renderers.html_widgets import plotly_figure

    known = [each for each, value in enumerate(bars["values"]) if value is not None]
    lowest = sorted(known, key=lambda each: bars["values"][each])[:BARS_SHOWN]
    values, labels = ([bars[name][each] for each in lowest] for name in ("values", "labels"))
    bound = bars["bound"]
    colors = [ABOVE if bound is None or value >= bound else BELOW for value in values]
    bar = go.Bar(
        x=values, y=labels, orientation="h", error_x=_spread(bars, lowest), marker={"color": colors}
    )
    figure = go.Figure(bar)
    if bound is not None:
        figure.add_vline(x=bound, line_dash="dash", line_color=BELOW)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=HEIGHT, margin={"l": 240, "t": 10, "b": 40})
    left = len(known) - len(lowest)
    title = f"{bars['title']}: the lowest {len(lowest)}, {left} more in the tables"
    return plotly_figure(title=title if left else bars["title"], figure=figure)


def _spread(bars: dict[str, Any], chosen: list[int]) -> dict[str, Any] | None:
    """Return the bars' intervals as plotly wants them; None where there are none."""
    if not bars["low"]:
        return None
    ends = [(bars["values"][each], bars["low"][each], bars["high"][each]) for each in chosen]
    reach = [_reach(*end) for end in ends]
    down, up = ([each[side] for each in reach] for side in (0, 1))
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down}


def _reach(
    value: float | None, low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    if value is None or low is None or high is None:
        return None, None
    return max(value - low, 0.0), max(high - value, 0.0)
