"""Records: frozen, canonical, one id for one content."""

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipelines import records
from pipelines.records import Check, Part, Record, Split
from pipelines.typed import read_json

text = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
checks = st.builds(
    Check,
    name=text,
    outcome=st.sampled_from(["pass", "fail", "not-enough-data", "error"]),
    observed=text,
    expected=text,
    candidate_id=text,
    split_id=text,
    policy_sha256=text,
    evidence=st.dictionaries(text, json_values, max_size=4),
)


@given(checks)
def test_what_is_written_reads_back_with_the_same_id(
    tmp_path_factory: object, check: Check
) -> None:
    """A record on disk and the record in memory are one, by value and by id."""
    path = Path(tmp_path_factory.mktemp("r")) / "check.json"  # type: ignore[attr-defined]
    check.write(path)
    again = read_json(path, Check)
    assert check == again
    assert check.id == again.id


@given(checks, text)
def test_another_content_is_another_id(check: Check, other: str) -> None:
    """Changing one field changes the id."""
    changed = msgspec.structs.replace(check, observed=check.observed + "x" + other)
    assert check.id != changed.id


def test_ids_are_stable_over_time() -> None:
    """An id that stands in a proof must be the same for ever: these two are pinned."""
    part = Part(rows=2, sha256="ab")
    split = Split(snapshot_id="s", params_sha256="p", parts={"train": part})
    expected = b'{"params_sha256":"p","parts":{"train":{"rows":2,"sha256":"ab"}},"snapshot_id":"s"}'
    assert expected == split.canonical()


def test_every_record_is_frozen_and_closed() -> None:
    """No record can be changed, and none takes a field it does not know."""
    kinds = [
        kind
        for kind in vars(records).values()
        if isinstance(kind, type) and issubclass(kind, Record)
    ]
    assert 14 <= len(kinds)
    for kind in kinds:
        assert kind.__struct_config__.frozen, kind
        assert kind.__struct_config__.forbid_unknown_fields, kind
