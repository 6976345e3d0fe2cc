"""An application is refused, referred or admitted by rule; its values are typed as training's."""

# ruff: noqa: PD011 - the values of an application are no data frame's

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.contract import Column, Kind
from pipelines.data import cast
from pipelines.decisions.admit import Admission, ApplicationRefused, compile_admission
from pipelines.decisions.records import NOBODY, STAFF, Concern, Refusal
from pipelines.decisions.typing_json import PARSERS, Unfit, token
from pipelines.model.rows import rows
from tests.decisions.versions import APPLICATION, application
from tests.model.small import CONTRACT, made, people

MAX_BYTES = 2000


@pytest.fixture(scope="module")
def admission() -> Admission:
    found = made("linear")
    return compile_admission(CONTRACT, found.features, found.plan.texts, MAX_BYTES)


def refusals(admission: Admission, data: bytes) -> list[tuple[str, str]]:
    """Return field and rule of everything that is refused."""
    with pytest.raises(ApplicationRefused) as caught:
        admission.admit(data)
    return [(each.field, each.rule) for each in caught.value.refusals]


def test_an_application_is_typed(admission: Admission) -> None:
    """Each value has its column's type; what was not sent is missing."""
    found = admission.admit(application())
    assert ("p-marked-7261", (), False) == (found.subject, found.concerns, found.refer)
    assert found.values == {
        "person": "p-marked-7261",
        "seen": None,
        "income": 31.25,
        "self": 3,
        "job": "cook",
        "town": "Be",
        "owner": True,
        "grade": 2,
        "since": dt.date(2011, 3, 4),
        "paid_at": dt.datetime(2026, 2, 3, 2, 5, 6, 7, tzinfo=dt.UTC),
        "ratio": -0.25,
        "origin": None,
        "years": None,
    }


def test_every_training_row_is_admitted_as_it_stands(admission: Admission) -> None:
    """A row of the training part, sent as JSON, is typed back to the very same values."""
    names = [name for name in admission.fields if name not in {"since", "paid_at", "seen"}]
    for row in rows(people().iloc[:100], names):
        there = {name: value for name, value in row.items() if value is not None}
        found = admission.admit(json.dumps(there).encode())
        assert row == {name: found.values[name] for name in names}
        assert () == found.concerns


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"{" + b" " * MAX_BYTES + b"}", "too-large"),
        (b'{"person": "\xff"}', "not-utf-8"),
        (b'{"person": "\\ud800"}', "not-utf-8"),
        (b"\xef\xbb\xbf{}", "not-json"),
        (b"", "not-json"),
        (b"{", "not-json"),
        (b'{"income": 01}', "not-json"),
        (b"[" * 1900, "not-json"),
        (b"[]", "not-an-object"),
        (b"null", "not-an-object"),
        (b'"text"', "not-an-object"),
        (b"1e400", "not-an-object"),
    ],
)
def test_what_is_no_object_is_refused_as_a_whole(
    admission: Admission, data: bytes, rule: str
) -> None:
    """Too large, not UTF-8, not JSON, not an object: one refusal, of no field."""
    assert [("", rule)] == refusals(admission, data)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"nosuch": 1}, "#11", "unknown-field"),
        ({"good": "yes"}, "good", "not-asked-for"),
        ({"notes": "x"}, "notes", "not-asked-for"),
        ({"person": ...}, "person", "missing"),
        ({"person": ""}, "person", "missing"),
        ({"person": "   "}, "person", "not-a-name"),
        ({"person": "p1 "}, "person", "not-a-name"),
        ({"person": "p\ufeff"}, "person", "not-a-name"),
        ({"person": "p\0"}, "person", "not-a-name"),
        ({"person": "p\nq"}, "person", "not-a-name"),
        ({"person": NOBODY}, "person", "not-a-name"),
        ({"person": f"{STAFF}Ada"}, "person", "not-a-name"),
        ({"income": ...}, "income", "missing"),
        ({"income": None}, "income", "missing"),
        ({"income": "31"}, "income", "wrong-type"),
        ({"income": True}, "income", "wrong-type"),
        ({"income": [31]}, "income", "wrong-type"),
        ({"income": {"a": 1}}, "income", "wrong-type"),
        ({"income": math.nan}, "income", "not-finite"),
        ({"income": -math.inf}, "income", "not-finite"),
        ({"self": 1.5}, "self", "wrong-type"),
        ({"self": 2**63}, "self", "wrong-type"),
        ({"self": math.nan}, "self", "not-finite"),
        ({"job": 3}, "job", "wrong-type"),
        ({"job": math.nan}, "job", "wrong-type"),
        ({"job": "baker"}, "job", "unseen"),
        ({"owner": 2}, "owner", "wrong-type"),
        ({"owner": "true"}, "owner", "wrong-type"),
        ({"since": "2026-02-30"}, "since", "wrong-type"),
        ({"since": 20260203}, "since", "wrong-type"),
        ({"paid_at": "yesterday"}, "paid_at", "wrong-type"),
        ({"paid_at": "2026-01-01T25:00"}, "paid_at", "wrong-type"),
        ({"years": "old"}, "years", "wrong-type"),
        ({"$contract": "1.3"}, "$contract", "another-schema-version"),
        ({"$contract": 1.2}, "$contract", "another-schema-version"),
    ],
)
def test_what_is_wrong_is_refused_by_field_and_rule(
    admission: Admission, changes: dict[str, Any], field: str, rule: str
) -> None:
    """Each wrong thing has one stated answer."""
    assert [(field, rule)] == refusals(admission, application(**changes))


@pytest.mark.parametrize("written", ["1e400", "-1e999", "1" * 350])
def test_a_number_beyond_doubles_is_refused(admission: Admission, written: str) -> None:
    """A number that only an infinity could hold is not finite."""
    data = application(income=0.5).replace(b"0.5", written.encode())
    assert [("income", "not-finite")] == refusals(admission, data)


@pytest.mark.parametrize(
    ("changes", "column", "rule"),
    [
        ({"income": 1e300}, "income", "outside-range"),
        ({"income": 1000.0000000000001}, "income", "outside-range"),
        ({"income": -5e-324}, "income", "outside-range"),
        ({"ratio": 1e300}, "ratio", "outside-range"),
        ({"ratio": -(2**53 + 2)}, "ratio", "outside-range"),
        ({"self": 21}, "self", "outside-range"),
        ({"grade": 4}, "grade", "unseen"),
        ({"town": "De"}, "town", "unseen"),
    ],
)
def test_what_nobody_documented_goes_to_a_person(
    admission: Admission, changes: dict[str, Any], column: str, rule: str
) -> None:
    """Outside the range, or among no known values: admitted, and a person must decide."""
    found = admission.admit(application(**changes))
    assert [(column, rule, True)] == [
        (each.column, each.rule, each.decides) for each in found.concerns
    ]
    assert found.refer


@pytest.mark.parametrize("changes", [{"income": 1000.0}, {"income": 0}, {"self": 20}, {"grade": 1}])
def test_the_ends_of_a_range_are_inside(admission: Admission, changes: dict[str, Any]) -> None:
    """A documented bound is itself allowed."""
    assert () == admission.admit(application(**changes)).concerns


@pytest.mark.parametrize("changes", [{"origin": "west"}, {"years": 7}])
def test_a_strange_protected_value_moves_no_decision(
    admission: Admission, changes: dict[str, Any]
) -> None:
    """The model does not read it: it is left out and noted, and nobody is referred for it."""
    found = admission.admit(application(**changes))
    (name,) = changes
    assert (None, False) == (found.values[name], found.refer)
    assert [(name, False)] == [(each.column, each.decides) for each in found.concerns]


@pytest.mark.parametrize(
    ("name", "value"),
    [("self", 99), ("self", 99.0), ("self", 7.5), ("job", "unknown"), ("ratio", -1), ("town", "")],
)
def test_a_sentinel_is_a_missing_value(admission: Admission, name: str, value: object) -> None:
    """What stands for not known is missing, however it is written."""
    assert admission.admit(application(**{name: value})).values[name] is None


def test_this_version_of_the_contract_may_be_named(admission: Admission) -> None:
    """A client may say which version it wrote for."""
    named = admission.admit(application(**{"$contract": "1.2"}))
    assert named.values == admission.admit(application()).values


def test_a_field_that_stands_twice_is_refused(admission: Admission) -> None:
    """Which of the two counts is never guessed, whatever the parser would take."""
    data = application().replace(b'{"person"', b'{"grade": 2, "person"', 1)
    assert [("grade", "duplicate-field")] == refusals(admission, data)


def test_everything_wrong_is_told_at_once(admission: Admission) -> None:
    """A client mends its application in one go."""
    found = refusals(admission, application(income=..., grade="x", nosuch=1))
    assert [("#10", "unknown-field"), ("income", "missing"), ("grade", "wrong-type")] == found


def test_a_refusal_repeats_nothing_that_was_sent(admission: Admission) -> None:
    """Neither a value nor an unknown name, which may be one, is in message, refusal or repr."""
    marked = application(job="marked-1", grade="marked-2", **{"marked-3": "marked-4"})
    with pytest.raises(ApplicationRefused) as caught:
        admission.admit(marked)
    error = caught.value
    told = "\n".join([str(error), repr(error), *map(repr, error.refusals), *map(str, error.args)])
    assert "marked" not in told
    assert "p-marked-7261" == error.subject
    assert "marked" not in repr(admission.admit(application()))


def test_a_misspelt_field_is_told_what_was_meant(admission: Admission) -> None:
    """The hint names a column of the contract, never what was sent."""
    with pytest.raises(ApplicationRefused) as caught:
        admission.admit(application(incomee=1))
    expected = Refusal(field="#11", rule="unknown-field", hint="did you mean 'income'?")
    assert (expected,) == caught.value.refusals


def test_a_column_that_the_model_does_not_read_is_not_demanded() -> None:
    """Nobody is asked for what nothing is decided on."""
    admission = compile_admission(CONTRACT, ("self",), {}, MAX_BYTES)
    found = admission.admit(b'{"person": "p", "self": 1, "town": "De", "income": -1}')
    assert (Concern(column="income", rule="outside-range", decides=False),) == found.concerns
    assert not found.refer


NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?\Z"),
)
EARLY, LATE = map(dt.datetime.fromisoformat, ("1700-01-01", "2200-01-01"))
DATES = st.one_of(
    st.dates().map(str),
    st.datetimes(EARLY, LATE).map(lambda at: at.isoformat()),
    st.datetimes(EARLY, LATE).map(lambda at: f"{at}+05:30"),
    st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?)?\Z"),
    st.text(max_size=12),
)


def trained_on(kind: Kind, written: str) -> object:
    """Return what training's cast makes of a text; `...` where it refuses it."""
    found = cast.cast(pa.array([written], pa.string()), Column(name="x", role="feature", kind=kind))
    if found.bad[0].as_py():
        return ...
    value = found.values[0].as_py()
    return value.date() if kind == "date" else value


def admitted(kind: Kind, given: object) -> object:
    try:
        return PARSERS[kind](given)
    except Unfit:
        return ...


@given(written=NUMBERS)
@example("-0.0")
@example("5e-324")
@example("1e400")
@example("9223372036854775807")
@example("9223372036854775808")
@example("1.0")
@example("1e2")
def test_numbers_are_typed_as_training_types_their_text(written: str) -> None:
    """The same digits give the same integer and the same double, or are refused by both."""
    assert trained_on("integer", written) == admitted("integer", token(written))
    expected, observed = trained_on("number", written), admitted("number", token(written))
    assert [repr(expected)] == [repr(observed)]


@given(written=DATES.filter(bool))
@example("2026-01-01 00:00:00.000")
@example("2026-01-01T24:00")
@example("2026-01-01T12:00-03")
@example("2026-01-01T12:00:00.123456+0530")
def test_dates_are_typed_as_training_types_their_text(written: str) -> None:
    """The same text gives the same day and the same moment, or is refused by both."""
    if not written.startswith("0000"):  # Arrow knows a year 0, Python does not: refused here
        assert trained_on("date", written) == admitted("date", written)
        expected, observed = trained_on("timestamp", written), admitted("timestamp", written)
        assert expected == (observed if observed is ... else pd.Timestamp(observed))
        assert observed is ... or dt.UTC is observed.tzinfo  # type: ignore[attr-defined]


def test_booleans_are_typed_as_training_types_their_text() -> None:
    """True, false, 1 and 0."""
    for written, given_ in (("true", True), ("false", False), ("1", token("1")), ("0", token("0"))):
        assert trained_on("boolean", written) == admitted("boolean", given_)
    assert ... is admitted("boolean", token("1.0")) is trained_on("boolean", "1.0")


def test_the_application_of_these_tests_is_whole() -> None:
    """It holds every column that the model reads."""
    assert set(made("linear").features) <= set(APPLICATION)
