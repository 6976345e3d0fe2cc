"""Canonical bytes and digests."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.canonical import canonical_json, sha256_file, sha256_json, sha256_tree
from pipelines.errors import BadRequest, NotThere

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_canonical_form_reads_back_bit_for_bit(value: object) -> None:
    """What is hashed is what was meant: floats and text survive the round trip exactly."""
    again = json.loads(canonical_json(value).decode())
    assert canonical_json(value) == canonical_json(again)


@given(st.dictionaries(st.text(), st.integers(), min_size=2, max_size=6))
def test_key_order_does_not_change_the_digest(mapping: dict[str, int]) -> None:
    """Two mappings that are equal have one digest."""
    turned = dict(reversed(list(mapping.items())))
    assert sha256_json(mapping) == sha256_json(turned)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_without_a_json_form_are_refused(number: float) -> None:
    """NaN and infinities never turn into null unseen; the message says where."""
    with pytest.raises(BadRequest) as caught:
        canonical_json({"a": [1.0, number]})
    assert "$.a[1]" == caught.value.where


def test_tree_digest_sees_content_and_names(tmp_path: Path) -> None:
    """Another byte or another name is another digest; the same files are the same digest."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    first = sha256_tree(tmp_path / "a")
    assert first == sha256_tree(tmp_path / "a")
    (tmp_path / "a" / "x").write_bytes(b"2")
    second = sha256_tree(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert 3 == len({first, second, sha256_tree(tmp_path / "a")})


def test_missing_file_is_not_there(tmp_path: Path) -> None:
    """A missing file has no digest."""
    with pytest.raises(NotThere):
        sha256_file(tmp_path / "nothing")
    with pytest.raises(NotThere):
        sha256_tree(tmp_path / "nothing")
