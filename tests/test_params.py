"""Parameters are typed, complete and within their ranges, or refused with what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import params
from pipelines.errors import BadRequest

ROOT = Path(__file__).resolve().parent.parent
FILES = (ROOT / "params.yaml", ROOT / "examples" / "adult" / "params.yaml")


def changed(folder: Path, place: str, value: object) -> Path:
    """Write params.yaml with one value at a dotted place; None takes the key out."""
    raw: Any = yaml.safe_load(FILES[0].read_text(encoding="utf-8"))
    *steps, last = place.split(".")
    inner = raw
    for step in steps:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", FILES)
def test_the_parameters_here_can_be_read(path: Path) -> None:
    """Both files of this repository are whole, and name a candidate that they describe."""
    found = params.read(path)
    assert found.candidates[found.candidate] == found.recipe


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("data.chunk_rosw", 5, "did you mean 'chunk_rows'?"),
        ("splitt", {}, "did you mean 'split'?"),
        ("data.encoding", None, "encoding"),
        ("evaluate", None, "evaluate"),
        ("data.chunk_rows", "many", "data.chunk_rows"),
        ("split.method", "sorted", "split.method"),
        ("data.source.kind", "ftp", "data.source.kind"),
        ("candidate", "fiar", "did you mean 'fair'?"),
        ("data.max_refused_share", 1.01, "data.max_refused_share"),
        ("data.max_refused_share", -0.01, "data.max_refused_share"),
        ("split.test_share", 1.5, "split.test_share"),
        ("data.chunk_rows", 0, "data.chunk_rows"),
        ("evaluate.bootstrap_samples", 0, "evaluate.bootstrap_samples"),
        ("candidates.fair.approval_rate", 2.0, "candidates.fair.approval_rate"),
        ("decide.holdout_share", 1.1, "decide.holdout_share"),
        ("decide.refer_band", -0.1, "decide.refer_band"),
        ("decide.reference.size", 9, "decide.reference.size"),
        ("decide.max_reasons", 0, "decide.max_reasons"),
        ("decide.reference.population", "approved", "decide.reference.population"),
    ],
)
def test_a_wrong_parameter_is_refused(tmp_path: Path, place: str, value: object, told: str) -> None:
    """An unknown, missing, mistyped or out-of-range key is a bad request that names it."""
    with pytest.raises(BadRequest) as caught:
        params.read(changed(tmp_path, place, value))
    assert told in str(caught.value)


def test_a_run_may_choose_candidate_and_policy() -> None:
    """The trigger form sets two keys; every other line of the file stays as it is."""
    before = FILES[0].read_text(encoding="utf-8")
    after = params.override(FILES[0], {"candidate": "naive", "policy": "other-2026"})
    assert ["candidate: naive", "policy: other-2026"] == sorted(
        set(after.splitlines()) - set(before.splitlines())
    )
    assert len(before.splitlines()) == len(after.splitlines())


@pytest.mark.parametrize(
    "changes", [{"candidat": "fair"}, {"data": "x"}, {"candidate": "a: b"}, {"policy": "../x"}]
)
def test_a_run_may_choose_nothing_else(changes: dict[str, str]) -> None:
    """Other keys, and values that are no names, are refused at the trigger."""
    with pytest.raises(BadRequest):
        params.override(FILES[0], changes)


def test_a_verdict_depends_on_what_is_judged(tmp_path: Path) -> None:
    """Changing a schedule or the service leaves the digest of what was judged.

    Changing the recipe, or whom reasons compare with, does not.
    """
    before = params.read(FILES[0]).judged_sha256
    schedule = params.read(changed(tmp_path, "schedules.train_model", "5 4 * * 1"))
    assert before == schedule.judged_sha256
    recipe = params.read(changed(tmp_path, "candidates.fair.approval_rate", 0.5))
    assert before != recipe.judged_sha256
    service = params.read(changed(tmp_path, "decide.holdout_share", 0.5))
    assert before == service.judged_sha256
    compared = params.read(changed(tmp_path, "decide.reference.population", "all"))
    assert before != compared.judged_sha256
