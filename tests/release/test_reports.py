"""Evidently reports: our numbers, every test counted, nothing executed, nothing fetched."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import IntegrityBroken
from pipelines.records import Check, Outcome
from pipelines.release import reports
from pipelines.release.checks._case import Bars, Finding, Line, Table
from tests.system import require

EVIL = "</script><script>document.title='XSS'</script><img src=x onerror=document.title='XSS'>"
CHROMIUM = shutil.which("chromium")


def check(name: str = "bias", outcome: Outcome = "fail", said: str = "ratio 0.67") -> Check:
    return Check(
        name=name,
        outcome=outcome,
        observed=said,
        expected="at least 0.80",
        candidate_id="c",
        split_id="s",
        policy_sha256="p",
        evidence={},
    )


def finding(text: str = "plain", count: int = 3) -> Finding:
    outcomes: tuple[Outcome, ...] = ("pass", "fail", "not-enough-data", "error")
    lines = [
        Line(f"{text} {number}", outcomes[number % 4], f"{text} seen", f"{text} wanted", 0.5)
        for number in range(count)
    ]
    return Finding(
        tuple(lines),
        {},
        (
            Bars(text, (text, "other"), (0.5, None), (0.4, None), (0.6, None), bound=0.8),
            Table(text, (text, "people"), ((text, 3), (None, 1.5))),
        ),
    )


def written(folder: Path, found: Finding, of: Check | None = None) -> dict[str, Any]:
    of = of or check()
    reports.write(of, found, folder)
    loaded: dict[str, Any] = json.loads((folder / f"{of.name}.evidently.json").read_text())
    return loaded


@pytest.mark.parametrize("count", [1, 9, 10, 11, 37])
def test_every_line_is_one_test_with_its_status(tmp_path: Path, count: int) -> None:
    """Evidently states as many tests as there are lines, each with the status that was meant."""
    found = finding(count=count)
    tests = written(tmp_path, found)["tests"]
    said = {test["description"].split(":")[0]: test["status"] for test in tests}
    assert {line.name: reports.STATUS[line.outcome] for line in found.lines} == said
    assert count == len(tests)


def test_a_shown_line_is_no_test(tmp_path: Path) -> None:
    """A line that is only shown stands in the report and is not stated as a test."""
    shown = Line("shown only", "fail", "seen", "wanted", counts=False)
    found = Finding((*finding().lines, shown))
    assert 3 == len(written(tmp_path, found)["tests"])
    assert "shown only" in (tmp_path / "bias.html").read_text()


@pytest.mark.parametrize(
    "statuses",
    [
        [],
        ["SUCCESS"],
        ["SUCCESS", "SUCCESS", "WARNING"],
        ["SUCCESS", "FAIL", "WARNING", "SUCCESS"],
        ["SUCCESS", "ERROR", "WARNING"],
    ],
)
def test_other_tests_than_planned_are_refused(statuses: list[str]) -> None:
    """A test missing, too many, or of another status is an error, never a pass."""
    with pytest.raises(IntegrityBroken, match="planned"):
        reports.as_planned(statuses, [reports.STATUS[line.outcome] for line in finding().lines])


def test_no_test_at_all_is_refused(tmp_path: Path) -> None:
    """A report without a test says nothing, and is refused."""
    with pytest.raises(IntegrityBroken, match="planned"):
        reports.write(check(), Finding(()), tmp_path)
    assert not (tmp_path / "bias.html").exists()


def test_both_files_are_written(tmp_path: Path) -> None:
    """The HTML is there and not empty: Evidently's own save writes nothing for a Path."""
    written(tmp_path, finding())
    assert ["bias.evidently.json", "bias.html"] == sorted(path.name for path in tmp_path.iterdir())
    assert (tmp_path / "bias.html").stat().st_size > 1_000_000


def test_text_cannot_end_the_script(tmp_path: Path) -> None:
    """A category named like a script's end leaves the page's scripts as they were."""
    written(tmp_path, finding())
    plain = (tmp_path / "bias.html").read_text().count("</script")
    written(tmp_path, finding(EVIL), check(said=EVIL))
    page = (tmp_path / "bias.html").read_text()
    assert plain == page.count("</script")
    assert "\\u003c/script>" in page
    assert "<img src=x" not in page


@given(st.text(max_size=60))
def test_protected_text_comes_back(text: str) -> None:
    """Through JSON, protected text comes back as it was, and carries no "<" on the way."""
    on_the_way = json.dumps(reports.protected(text))
    assert "<" not in on_the_way
    shown = text.replace(reports.STANDS_FOR_LESS[0], reports.UNKNOWN)
    assert shown == json.loads(reports.unprotected(on_the_way))


def test_what_stands_for_less_cannot_be_smuggled_in() -> None:
    """A text that holds the two stand-in characters does not turn into "<"."""
    on_the_way = json.dumps(reports.protected(reports.STANDS_FOR_LESS + "script>"))
    assert "<" not in json.loads(reports.unprotected(on_the_way))


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    """The page is self-contained: no script, style or image is fetched."""
    written(tmp_path, finding())
    head = (tmp_path / "bias.html").read_text()
    outside = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?https?:", head)
    assert [] == outside


def test_writing_connects_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report attempts no connection and no name look-up."""
    tried: list[str] = []

    def refuse(*words: Any, **_: Any) -> Any:
        tried.append(str(words))
        raise OSError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    written(tmp_path, finding())
    assert [] == tried


def test_the_same_numbers_give_the_same_result_file(tmp_path: Path) -> None:
    """What Evidently states carries no time and no random name of its own."""
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        written(folder, finding())
    name = "bias.evidently.json"
    assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.e2e
def test_a_browser_runs_no_script_out_of_a_category(tmp_path: Path) -> None:
    """In a real browser the planted script does not run, and its text is shown as text."""
    require(CHROMIUM, "chromium")
    written(tmp_path, finding(EVIL), check(said=EVIL))
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            (tmp_path / "bias.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    drawn = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert "&lt;/script&gt;&lt;script&gt;document.title='XSS'" in drawn
    assert "<title>XSS</title>" not in done.stdout
    assert '<img src="x"' not in drawn
