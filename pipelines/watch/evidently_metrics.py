"""Evidently metrics of the watch: they hand Evidently Clew's own numbers, and compute none.

`FindingState` holds what was found, a row and a test a finding; `FindingValue` what was measured,
which a dashboard draws window after window. Evidently is imported here, inside functions: it costs
seconds.
"""

from __future__ import annotations

import functools
import json
from types import SimpleNamespace
from typing import Any, Final

from pipelines.release.reports import AT_ONCE, HOLDS, LINE, SHOWN, protected
from pipelines.watch.findings import Finding, Status

STATUS: Final[dict[Status, str]] = {
    "ok": "SUCCESS",
    "alarm": "FAIL",
    "error": "FAIL",
    "not-enough-data": "WARNING",
}
VALUES: Final = "values"
REFERENCE, WINDOW = "#8a8a8a", "#4a7ba6"
HEIGHT: Final = 450  # what Evidently leaves for a figure


def snapshot(content: dict[str, Any], found: tuple[Finding, ...], **about: Any) -> Any:  # noqa: ANN401
    """Return Evidently's snapshot of the plain `content`, with a test for each of `found`.

    `about` goes to Evidently's own run: its timestamp, name, tags and metadata.
    """
    kinds = _kinds()
    metrics = [
        kinds.state(
            first=first, tests={HOLDS: _tests(kinds, found[first : first + AT_ONCE], first)}
        )
        for first in range(0, len(found) or 1, AT_ONCE)
    ]
    metrics += [kinds.value(check=check) for check in content[VALUES]]
    report = kinds.report(metrics, include_tests=False)
    return report.run(_dataset(json.dumps(content)), None, **about)


def _dataset(content: str) -> Any:  # noqa: ANN401
    """Return the data set that Evidently sees: our numbers in one cell, no row of the data."""
    import pandas as pd
    from evidently import DataDefinition, Dataset

    frame = pd.DataFrame({SHOWN: [content]})
    return Dataset.from_pandas(frame, data_definition=DataDefinition(text_columns=[SHOWN]))


def _tests(kinds: SimpleNamespace, found: tuple[Finding, ...], first: int) -> list[Any]:
    return [
        kinds.at_least(
            1.0,
            is_critical=each.status != "not-enough-data",
            alias=protected(f"{each.key}: {each.said}"),
            label_filters={LINE: str(number)},
        )
        for number, each in enumerate(found, first)
    ]


@functools.cache
def _kinds() -> SimpleNamespace:
    """Import Evidently and define our metrics for it, once a process."""
    import pandas as pd
    from evidently import Report
    from evidently.core.metric_types import DataframeCalculation, DataframeMetric
    from evidently.tests import gte

    class FindingState(DataframeMetric):  # type: ignore[misc]
        """What was found: a row a finding, with 1 where nothing is to be said against it."""

        first: int

    class FindingStateCalculation(DataframeCalculation[FindingState]):  # type: ignore[misc]
        def calculate(self, context: object, current: Any, reference: object) -> Any:  # noqa: ANN401, ARG002
            content = json.loads(current.as_dataframe()[SHOWN].iloc[0])
            first = self.metric.first
            holds = content[HOLDS][first : first + AT_ONCE]
            numbers = [str(number) for number in range(first, first + len(holds))]
            result = self.result(pd.DataFrame({LINE: numbers, HOLDS: holds}))
            result.widget = [] if first else _widgets(content)
            return result

        def display_name(self) -> str:
            return f"findings {self.metric.first // AT_ONCE + 1}"

    class FindingValue(DataframeMetric):  # type: ignore[misc]
        """What was measured for one check: a row a column or group and measure."""

        check: str

    class FindingValueCalculation(DataframeCalculation[FindingValue]):  # type: ignore[misc]
        def calculate(self, context: object, current: Any, reference: object) -> Any:  # noqa: ANN401, ARG002
            content = json.loads(current.as_dataframe()[SHOWN].iloc[0])
            rows = content[VALUES][self.metric.check]
            result = self.result(pd.DataFrame(rows, columns=["of", "measure", "value"]))
            result.widget = []
            return result

        def display_name(self) -> str:
            return f"values of {self.metric.check}"

    return SimpleNamespace(state=FindingState, value=FindingValue, report=Report, at_least=gte)


def _widgets(content: dict[str, Any]) -> list[Any]:
    from evidently.legacy.renderers.html_widgets import CounterData, counter, table_data

    counters = [CounterData(name, value) for name, value in content["counters"]]
    tables = [
        table_data(column_names=each["columns"], data=each["rows"], title=each["title"])
        for each in content["tables"]
    ]
    return [counter(counters=counters), *tables[:1], *map(_chart, content["charts"]), *tables[1:]]


def _chart(each: dict[str, Any]) -> Any:  # noqa: ANN401
    """Draw a column's window over its reference: cumulative shares, or shares by category."""
    import plotly.graph_objects as go
    from evidently.legacy.renderers.html_widgets import plotly_figure

    figure = go.Figure()
    for name, color in (("reference", REFERENCE), ("window", WINDOW)):
        if each["kind"] == "number":
            line = {"color": color, "shape": "hv"}
            figure.add_scatter(x=each["x"], y=each[name], mode="lines", name=name, line=line)
        else:
            figure.add_bar(x=each["x"], y=each[name], name=name, marker={"color": color})
    share = "share of values at most" if each["kind"] == "number" else "share of values"
    figure.update_xaxes(title=each["title"])
    figure.update_yaxes(range=[0, 1], title=share)
    figure.update_layout(height=HEIGHT, margin={"l": 60, "r": 10, "t": 10, "b": 60})
    return plotly_figure(title=each["title"], figure=figure)
