"""`clew timestamp` against a real authority in another process, up to a bundle and its check."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.layout import State
from tests.cli.test_witness import clew, decided  # noqa: F401 - a fixture
from tests.ledger.authority import Authority


def test_a_stamp_from_the_authority_to_the_auditor(
    scratch: Path,
    state: State,
    tmp_path: Path,
    decided: str,  # noqa: F811
) -> None:
    """Asked for once a checkpoint, kept, put into a receipt, and checked with the certificate."""
    one, other = Authority(tmp_path / "one"), Authority(tmp_path / "two")
    by_one, by_other = (("--authority", str(each.certificate)) for each in (one, other))
    none = clew(scratch, "timestamp", "check", *by_one)
    assert (7, True) == (none.returncode, "no timestamp" in none.stderr)
    with one.serving() as (url, asked):
        first, second = (
            clew(scratch, "timestamp", "pull", url, *by_one, "--json") for _ in range(2)
        )
        wrong = clew(scratch, "timestamp", "pull", url, *by_other)
    assert [True, False] == [json.loads(each.stdout)["asked"] for each in (first, second)]
    assert 5 == wrong.returncode, wrong.stderr
    assert 1 == len(asked)
    bundle = tmp_path / "bundle"
    words = ("receipt", decided, "--out", str(bundle), "--person", "ada")
    assert 0 == clew(scratch, *words).returncode
    for what in ((), (str(bundle),), (str(state.ledger / "timestamps"),)):
        checked = clew(scratch, "timestamp", "check", *what, *by_one, "--json")
        assert 0 == checked.returncode, checked.stderr
        shown = json.loads(checked.stdout)
        assert [1] == [each["entries"] for each in shown]
        assert json.loads(first.stdout)["at"] == shown[0]["in the log by"]
        assert 5 == clew(scratch, "timestamp", "check", *what, *by_other).returncode
