"""The page of a window: our numbers, every test counted, no column lost, nothing executed."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import IntegrityBroken
from pipelines.layout import State
from pipelines.typed import read_json
from pipelines.watch import drift, evidently_metrics, report
from pipelines.watch.findings import WatchReport
from pipelines.watch.places import Places
from pipelines.watch_params import WatchParams
from tests.system import require
from tests.watch import pages

EVIL = "</script><script>document.title='XSS'</script><img src=x onerror=document.title='XSS'>"
CHROMIUM = shutil.which("chromium")
RNG = np.random.default_rng(7)
REFERENCE: dict[str, Any] = {
    "income": RNG.normal(50, 10, 800),
    "debts": RNG.integers(0, 5, 800),
    "job": RNG.choice(["a", "b", EVIL], 800),
    "nobody": [None] * 800,
    "same": [3.0] * 800,
    "holes": [None if n % 3 else 1.0 * n for n in range(800)],
}
WINDOW: dict[str, Any] = {
    "income": RNG.normal(60, 10, 500),
    "debts": RNG.integers(0, 5, 500),
    "job": RNG.choice(["a", EVIL, "new</script>"], 500),
    "nobody": [None] * 500,
    "same": [3.0] * 500,
    "holes": [None] * 500,
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(State(tmp_path), "applicants")


@pytest.fixture(scope="module")
def made() -> tuple[Any, Any, Any, Any]:
    """Return a report, its window's profile, the baseline, and Evidently's snapshot of it."""
    known = pages.baseline(REFERENCE)
    now = pages.profile(WINDOW, known)
    found = pages.judged(known, now)
    return found, now, known, pages.drawn(found, now, known)


def test_every_finding_is_one_test_with_its_status(made: Any) -> None:
    """Evidently states as many tests as there are findings, each with the status that was meant."""
    found, _, _, snapshot = made
    said = {test["description"].split(":")[0]: test["status"] for test in snapshot.dict()["tests"]}
    expected = {each.key: evidently_metrics.STATUS[each.status] for each in found.findings}
    assert expected == said
    assert {"SUCCESS", "FAIL", "WARNING"} >= set(said.values())
    assert len(found.findings) == len(snapshot.tests_results)


def test_a_report_that_says_nothing_is_refused() -> None:
    """Without a finding there is no page: it would look like health."""
    with pytest.raises(IntegrityBroken, match="planned"):
        pages.drawn(pages.report_of(), None, None)


def test_no_column_vanishes(made: Any) -> None:
    """Every column has a line of its own, the empty and the constant ones too."""
    found, now, known, _ = made
    tables = report.content(found, now, known)["tables"]
    rows = next(each for each in tables if each["title"].startswith("Columns"))["rows"]
    assert list(REFERENCE) == [row[0] for row in rows]
    empty, holes = (next(row for row in rows if row[0] == name) for name in ("nobody", "holes"))
    assert ("500", "800", "1", "1") == tuple(empty[1:5])
    assert ("1", "0.6663") == tuple(holes[3:5])


def test_a_report_read_back_has_the_id_it_was_written_with(tmp_path: Path) -> None:
    """Counts and shares alike come back as they were: by its id a stored report is known."""
    found = pages.report_of(pages.finding(value=3, bound=0, floor=1, p=1, p_adjusted=0))
    found.write(tmp_path / "report.json")
    assert found.id == read_json(tmp_path / "report.json", WatchReport).id


def test_nulls_are_judged(made: Any) -> None:
    """A column that lost all its values alarms, though none is left to have a distance."""
    found = made[0]
    (nulls,) = [each for each in found.findings if each.key == "missing/holes/null_rate"]
    assert ("alarm", pytest.approx(267 / 800)) == (nulls.status, nulls.value)


def test_the_numbers_on_the_page_are_those_judged(made: Any) -> None:
    """Each value of a finding stands in Evidently's result as it was judged, to the last bit."""
    found, _, _, snapshot = made
    judged = {each.key: each.value for each in found.findings if each.value is not None}
    stated = {}
    for metric in snapshot.dict()["metrics"]:
        if "check=" in metric["metric_name"] or metric["metric_name"].startswith("values of"):
            value = metric["value"]
            for place in value.get("of", {}):
                check = re.search(r"check=(\w+)|values of (\w+)", metric["metric_name"])
                assert check is not None
                name = check[1] or check[2]
                key = f"{name}/{value['of'][place]}/{value['measure'][place]}"
                stated[key] = value["value"][place]
    stated.pop("watch/alarms/count")
    assert judged == stated


def test_curves_are_the_counts_that_were_compared(made: Any) -> None:
    """A drawn curve ends at 1, and the greatest gap between two is the distance of their counts."""
    found, now, known, _ = made
    chart = next(c for c in report.content(found, now, known)["charts"] if c["title"] == "income")
    first, second = (np.array(chart[name]) for name in ("reference", "window"))
    assert (1.0, 1.0) == (first[-1], second[-1])
    counts = [np.array(each.columns["income"].counts) for each in (known, now)]
    gap = np.abs(np.subtract(*(np.cumsum(each) / each.sum() for each in counts))).max()
    assert gap == pytest.approx(np.abs(first - second).max(), abs=2e-5)


def test_both_files_are_written_and_again_the_same(made: Any, places: Places) -> None:
    """The page is there, Evidently's own save writes nothing for a path; again changes no byte."""
    found, _, _, snapshot = made
    page, data = report.write(found, snapshot, places)
    assert page.stat().st_size > 1_000_000
    first = data.read_bytes()
    report.write(found, pages.drawn(*made[:3]), places)
    assert first == data.read_bytes()
    assert {page.name, data.name} == {each.name for each in page.parent.iterdir()}


def test_the_page_needs_nothing_from_elsewhere_and_no_text_ends_its_script(
    made: Any, places: Places
) -> None:
    """A category named like a script's end adds none, and nothing is fetched."""
    found, _, _, snapshot = made
    page = report.write(found, snapshot, places)[0].read_text()
    tame = {name: values for name, values in REFERENCE.items() if name != "job"}
    known = pages.baseline(tame)
    now = pages.profile(WINDOW, known)
    other = pages.judged(known, now)
    plain = report.write(other, pages.drawn(other, now, known), places)[0].read_text()
    assert plain.count("</script") == page.count("</script")
    assert "\\u003c/script>" in page
    assert [] == re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?https?:", page)


@pytest.mark.e2e
def test_a_browser_runs_no_script_out_of_a_category(made: Any, places: Places) -> None:
    """In a real browser the planted script does not run, and its text is shown as text."""
    require(CHROMIUM, "chromium")
    found, _, _, snapshot = made
    page = report.write(found, snapshot, places)[0]
    done = subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"),
            f"--user-data-dir={places.state.home / 'profile'}",
            *("--virtual-time-budget=10000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    drawn = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert "Findings, the worst first" in drawn
    assert "<title>XSS</title>" not in done.stdout
    assert '<img src="x"' not in drawn


def test_tables_of_the_report_are_shown() -> None:
    """A list of records is a table of its own, anything else by its keys; empty ones are left."""
    records = [{"group": EVIL, "rate": 0.5}, {"group": "b", "people": 3}]
    made = pages.report_of(pages.finding(), tables={"groups": records, "one": {"a": 1}, "no": []})
    tables = {each["title"]: each for each in report.content(made, None, None)["tables"][2:]}
    assert ["group", "rate", "people"] == tables["groups"]["columns"]
    assert ["b", "undefined", "3"] == tables["groups"]["rows"][1]
    assert [["a", "1"]] == tables["one"]["rows"]
    assert {"groups", "one"} == set(tables)
    assert "<" not in json.dumps(tables)


def test_metrics_are_named_as_a_registry_takes_them() -> None:
    """A group's name with characters that MLflow refuses becomes one that it takes."""
    made = pages.report_of(pages.finding(check="bias", of="race: a/b", measure="ratio"))
    assert {"watch.watch.alarms.count": 1.0, "watch.bias.race_x3a a_x2fb.ratio": 0.5} == (
        report.metrics(made)
    )


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_evidently_agrees_where_the_method_is_the_same(shift: float) -> None:
    """Wasserstein over the deviation, Jensen-Shannon and missing values: Evidently's are ours.

    Evidently takes natural logarithms, and the exact distance where we take that of 200 bins.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import MissingValueCount, ValueDrift

    rng = np.random.default_rng(3)
    reference: dict[str, Any] = {
        "fine": rng.normal(0, 1, 1500),
        "few": rng.integers(0, 6, 1500).astype(float),
        "kind": rng.choice(list("abcd"), 1500),
        "holes": [None if n % 4 else 1.0 for n in range(1500)],
    }
    window: dict[str, Any] = {
        "fine": rng.normal(shift, 1, 1200),
        "few": np.clip(rng.integers(0, 6, 1200) + round(shift), 0, 5).astype(float),
        "kind": rng.choice(list("abcd"), 1200, p=[0.25 + shift / 8, 0.25, 0.25, 0.25 - shift / 8]),
        "holes": [None if n % 2 else 1.0 for n in range(1200)],
    }
    known = pages.baseline(reference)
    now = pages.profile(window, known)
    ours = {
        each.key: each.value
        for each in drift.of_columns(now.columns, known.columns, known.axes, WatchParams())
    }
    kinds = DataDefinition(numerical_columns=["fine", "few", "holes"], categorical_columns=["kind"])
    sets = [
        Dataset.from_pandas(pd.DataFrame(each).astype({"holes": float}), data_definition=kinds)
        for each in (window, reference)
    ]
    methods = {"fine": "wasserstein", "few": "wasserstein", "kind": "jensenshannon"}
    metrics = [ValueDrift(column=name, method=method) for name, method in methods.items()]
    run = Report([*metrics, MissingValueCount(column="holes")]).run(*sets)
    values = [each["value"] for each in run.dict()["metrics"]]
    assert values[0] == pytest.approx(ours["drift/fine/wasserstein"], abs=0.02)
    assert values[1] == pytest.approx(ours["drift/few/wasserstein"], abs=1e-9)
    assert values[2] / math.sqrt(math.log(2)) == pytest.approx(
        ours["drift/kind/jensen_shannon"], abs=1e-9
    )
    assert values[3]["share"] - 0.75 == pytest.approx(-(ours["missing/holes/null_rate"] or 0))


def test_a_table_with_many_figures_is_cut_into_tables_that_fit() -> None:
    """Each part says of whom its rows are, no figure is left out, and a heading can break."""
    row = {"accuracy": 0.5, "group": "a", **{f"rate_{number}": 0.1 for number in range(20)}}
    parts = list(report._records("rates", [row]))
    assert [f"rates ({number} of 3)" for number in (1, 2, 3)] == [each["title"] for each in parts]
    assert {"group"} == {each["columns"][0] for each in parts}
    assert report.WIDEST == max(len(each["columns"]) for each in parts)
    shown = [name for each in parts for name in each["columns"][1:]]
    assert ["accuracy", *(f"rate {number}" for number in range(20))] == shown
    assert all(len(each["columns"]) == len(each["rows"][0]) for each in parts)
