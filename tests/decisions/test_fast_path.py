"""The fast path of admission gives what checking field by field gives, or nothing."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipelines import contract
from pipelines.contract import Column
from pipelines.decisions import batch
from pipelines.decisions.admit import Admission, ApplicationRefused, compile_admission
from pipelines.model.plan import Value
from pipelines.model.rows import rows
from pipelines.typed import plain
from tests.decisions.versions import application
from tests.model.small import CONTRACT, made, people

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 4000
NUMBER_COLUMNS = (
    Column(name="rate", role="feature", kind="number", allowed=(1.5, 2, -0.5)),
    Column(name="code", role="feature", kind="number", sentinels=("9", "none")),
    Column(name="steps", role="feature", kind="integer", sentinels=("-9", 0), minimum=-20),
)
WIDER = replace(CONTRACT, columns=(*CONTRACT.columns, *NUMBER_COLUMNS))
PLAIN = application(rate=1.5, code=3, steps=4)


@cache
def admission() -> Admission:
    found = made("linear")
    return compile_admission(WIDER, found.features, found.plan.texts, MAX_BYTES)


def looked_at(data: bytes) -> tuple[str, dict[str, Value]] | None:
    """Return subject and values by the other path, where nothing is wrong or strange."""
    try:
        found = admission().examine(data)
    except ApplicationRefused:
        return None
    return None if found.concerns else (found.subject, dict(found.values))


def agrees(data: bytes) -> bool:
    """Say whether the fast path took it; if so it must have found the very same."""
    fast = admission().fast.values(data)
    if fast is None:
        return False
    expected = looked_at(data)
    assert repr(expected) == repr((fast["person"], fast))
    found = admission().admit(data)
    assert (fast["person"], ()) == (found.subject, found.concerns)
    return True


def test_rows_as_trained_on_take_the_fast_path() -> None:
    """Whatever is missing, as null or left out, needs no closer look."""
    names = [name for name in CONTRACT_NAMES if name != "since"]  # a frame's dates have a time
    for row in rows(people().iloc[:100], names):
        for there in (row, {name: value for name, value in row.items() if value is not None}):
            assert agrees(json.dumps(plain(there)).encode())


def test_the_default_data_take_the_fast_path(tmp_path: Path) -> None:
    """Of 1,989 applications, only the 40 with a sentinel or something wrong need a closer look."""
    source = runpy.run_path(str(ROOT / "examples" / "boston_mortgages" / "land.py"))["main"](
        tmp_path
    )
    found = contract.read(ROOT / "contract.yaml")
    features = [column.name for column in found.by_role("feature")]
    admission = compile_admission(found, features, {}, MAX_BYTES)
    sent = [data for block in batch.rows(source, found) for _, data in block]
    taken = [admission.fast.values(data) for data in sent]
    assert (1989, 40) == (len(sent), taken.count(None))
    for data, values in zip(sent, taken, strict=True):
        assert values in (None, admission.examine(data).values if values else None)


CONTRACT_NAMES = [each.name for each in CONTRACT.columns if each.role not in {"ignored", "target"}]
NAMES = st.sampled_from([*CONTRACT_NAMES, *(each.name for each in NUMBER_COLUMNS), "$contract"])
NUMBERS = st.one_of(
    st.sampled_from(["-0", "-0.0", "0", "1.0", "1e2", "-1", "99", "7.5", "9", "9.0", "-9", "1.5"]),
    st.integers(0, 25).map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.floats().map(json.dumps),
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?\Z"),
    st.integers(395, 405).map(lambda length: f"0.{'1' * (length - 2)}"),
)
WORDS = st.one_of(
    st.sampled_from(["", " ", "cook", "unknown", "Be", "north", "1.2", "9", "none", "a,b"]),
    st.sampled_from(["2011-03-04", "2011-03-04 00:00", "2026-02-03T04:05:06+02:00", "2026-02-30"]),
    st.text(max_size=5),
)
VALUES = st.one_of(
    NUMBERS,
    WORDS.map(json.dumps),
    WORDS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(["true", "false", "null", "[]", '{"a": 1}', '"\\ud800"', '"\\ud83d\\ude00"']),
)
FIELDS = st.one_of(
    st.tuples(st.sampled_from(["income", "ratio", "rate", "code"]), NUMBERS),
    st.tuples(st.sampled_from(["self", "grade", "steps"]), NUMBERS),
    st.tuples(st.sampled_from(["town", "job", "since", "paid_at"]), WORDS.map(json.dumps)),
    st.tuples(NAMES, VALUES),
)
SPACE = st.sampled_from(["", " ", "\n", "\t", "\x0c"])


@st.composite
def documents(draw: Callable[..., Any]) -> bytes:
    """Draw a whole application with some of its fields said otherwise, said twice, or left out."""
    pairs = [(name, json.dumps(value)) for name, value in json.loads(PLAIN).items()]
    for name, value in draw(st.lists(FIELDS, max_size=3)):
        at = [place for place, (known, _) in enumerate(pairs) if known == name]
        if at and draw(st.integers(0, 9)):
            pairs[at[0]] = (name, value)
        else:
            pairs.insert(draw(st.integers(0, len(pairs))), (name, value))
    left = draw(st.integers(0, 5 * len(pairs)))
    pairs = pairs[:left] + pairs[left + 1 :]
    space = draw(SPACE)
    told = f"{space},{space}".join(f"{json.dumps(name)}{space}:{value}" for name, value in pairs)
    return f"{{{told}}}".encode("utf-8", "surrogatepass")


def said(name: str, value: str) -> bytes:
    """Return the plain application with one field in these very characters."""
    told = {known: json.dumps(each) for known, each in json.loads(PLAIN).items()} | {name: value}
    return ("{" + ", ".join(f'"{known}": {each}' for known, each in told.items()) + "}").encode()


@given(data=documents())
@example(PLAIN)
@example(said("ratio", "-0"))
@example(said("ratio", "-0.0"))
@example(said("ratio", "-0 "))
@example(said("ratio", "-0e1"))
@example(said("ratio", f"0.{'1' * 399}"))
@example(said("ratio", f"0.{'1' * 398}"))
@example(said("ratio", "9007199254740993"))
@example(said("ratio", "-1"))
@example(said("ratio", "-1.0"))
@example(said("rate", "1.25"))
@example(said("code", "9"))
@example(said("code", "9.0"))
@example(said("steps", "-9"))
@example(said("steps", "0"))
@example(said("steps", "-0"))
@example(said("self", "7.5"))
@example(said("self", "3.0"))
@example(said("self", "3e0"))
@example(said("job", '"unknown"'))
@example(said("job", '""'))
@example(said("person", '""'))
@example(said("town", '"\\ud800"'))
@example(said("town", '"De"'))
@example(said("owner", "1"))
@example(said("origin", '"west"'))
@example(said("$contract", '"1.2"'))
@example(said("$contract", '"1.3"'))
@example(said("$contract", "1.2"))
@example(said("$contract", "null"))
@example(PLAIN.replace(b"{", b'{"grade": 2, ', 1))
@example(PLAIN.replace(b"{", b'{"notes": "x", ', 1))
def test_both_paths_type_a_document_alike(data: bytes) -> None:
    """Whatever the fast path takes has the same values, bit for bit, and nothing strange."""
    agrees(data)


@given(data=st.data())
def test_a_byte_changed_anywhere_is_read_alike(data: st.DataObject) -> None:
    """No byte makes the two paths differ, wherever it stands."""
    at = data.draw(st.integers(0, len(PLAIN) - 1))
    put = data.draw(
        st.one_of(st.binary(max_size=2), st.sampled_from([b"-", b".", b"0", b",", b"e"]))
    )
    agrees(PLAIN[:at] + put + PLAIN[at + data.draw(st.integers(0, 1)) :])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ratio", "-0.25"),
        ("ratio", "12345678901234567e-20"),
        ("rate", "2"),
        ("code", "9.5"),
        ("steps", "-20"),
        ("seen", '"2026-02-03T04:05:06-07:00"'),
        ("since", "null"),
        ("owner", "false"),
        ("job", '"unknown"'),
        ("$contract", '"1.2"'),
    ],
)
def test_what_is_documented_takes_the_fast_path(name: str, value: str) -> None:
    """Nothing that a client may well send is looked at twice."""
    assert agrees(said(name, value))


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b"{", b'{"grade": 2, ', 1),
        PLAIN.replace(b"{", b'{"grade": 3, ', 1),
        said("ratio", "-0"),
        said("ratio", f"0.{'1' * 399}"),
        said("ratio", "-1"),
        said("rate", "1.25"),
        said("code", "9"),
        said("grade", "4"),
        said("self", "21"),
    ],
)
def test_what_is_doubtful_is_looked_at(data: bytes) -> None:
    """A field twice, a lost sign, a sentinel, a strange value: the fast path leaves it alone."""
    assert not agrees(data)
