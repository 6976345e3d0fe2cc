"""Strict decoding."""

from pathlib import Path

import pytest

from pipelines.errors import BadRequest, IntegrityBroken, NotThere
from pipelines.params import SplitParams
from pipelines.records import Part
from pipelines.typed import convert, read_json, read_yaml

GOOD = "method: random\ntest_share: 0.4\nseed: 1\n"


def test_good_file_becomes_a_frozen_record(tmp_path: Path) -> None:
    """A complete file becomes its record, which cannot be changed."""
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    found = read_yaml(path, SplitParams)
    assert SplitParams(method="random", test_share=0.4, seed=1) == found
    with pytest.raises(AttributeError):
        found.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "sead: 1\n", "did you mean 'seed'?"),
        ("method: random\nseed: 1\n", "test_share"),
        (GOOD.replace("0.4", "lots"), "$.test_share"),
        (GOOD.replace("random", "rnd"), "$.method"),
        (GOOD + "seed: 2\n", "the key 'seed' stands twice"),
        ("method: [random\n", "x.yaml:2"),
    ],
)
def test_bad_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    """Unknown, missing, mistyped, doubled and unreadable keys are each refused and named."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadRequest) as caught:
        read_yaml(path, SplitParams)
    assert says in str(caught.value)


def test_missing_file_is_not_there(tmp_path: Path) -> None:
    """A file that is not there is not an empty file."""
    with pytest.raises(NotThere):
        read_yaml(tmp_path / "x.yaml", SplitParams)


def test_a_record_that_was_edited_is_broken(tmp_path: Path) -> None:
    """A record with another shape than the step wrote is a broken one, not a bad request."""
    path = tmp_path / "part.json"
    path.write_text('{"rows": 1, "sha256": "x", "more": 1}')
    with pytest.raises(IntegrityBroken):
        read_json(path, Part)


def test_numbers_are_not_read_out_of_text() -> None:
    """Text is not turned into a number on the quiet."""
    with pytest.raises(BadRequest):
        convert({"rows": "1", "sha256": "x"}, Part, "part")
