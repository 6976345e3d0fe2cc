"""One application as received, bytes of a JSON object, checked against the contract.

What is wrong is refused, and what no document says to expect goes to a person:

| what | answer |
|---|---|
| larger than `decide.max_bytes`, not UTF-8, not JSON, no object, a field twice | refuse |
| another version of the contract (`$contract`) | refuse |
| a field that the contract does not know, or that is no part of an application | refuse |
| a field that the model needs is missing, null or a sentinel | refuse |
| the wrong type; NaN, an infinity, a number beyond doubles | refuse |
| outside the documented range, or a value among no known ones | the column's `outside` rule |

A number whose range nobody documented is outside beyond 2^53. Values are typed as training types
the same text, so ``1.0`` is the integer 1 and a sentinel is a missing value. Columns that the
model does not read are typed too, for watching; what is outside there is left out and noted,
because whoever decides must not look at it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from pipelines.contract import Column, Contract
from pipelines.data.rules import number_sentinels, required, text_sentinels
from pipelines.decisions.records import Concern, Refusal
from pipelines.decisions.typing_json import PARSERS, Pairs, Unfit, as_text, constant, token
from pipelines.errors import BadRequest, did_you_mean
from pipelines.model.plan import Value

VERSION = "$contract"
MOST = 2.0**53
LOAD = partial(
    json.loads, parse_int=token, parse_float=token, parse_constant=constant, object_pairs_hook=Pairs
)


class ApplicationRefused(BadRequest):
    """An application cannot be decided as sent: mend the fields named and send it again.

    `subject` is whom it is about, where that much could be read; it is in no message.
    """

    def __init__(self, refusals: Iterable[Refusal], subject: str | None = None) -> None:
        self.refusals = tuple(refusals)
        self.subject = subject
        told = [f"{each.field or 'the application'}: {each.rule}" for each in self.refusals]
        super().__init__("an application was refused", observed="; ".join(told))


@dataclass(frozen=True, slots=True, repr=False)
class Application:
    """An admitted application: typed values by column (None: missing), and what is strange."""

    subject: str
    values: Mapping[str, Value]
    concerns: tuple[Concern, ...]

    @property
    def refer(self) -> bool:
        """Say whether a person must decide, whatever the model says."""
        return any(each.decides for each in self.concerns)


@dataclass(frozen=True, slots=True)
class Field:
    """One column as an application is checked against it.

    Sentinels are `texts`, compared as written, and `numbers`, compared once typed; `fractions` are
    those of a column of whole numbers that are none.
    """

    column: Column
    parse: Callable[[object], Value]
    number: bool
    needed: bool
    read: bool
    texts: frozenset[str]
    numbers: frozenset[Value]
    fractions: frozenset[float]
    known: frozenset[Value] | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Admission:
    """A contract compiled for one model: what an application may and must hold."""

    version: str
    fields: Mapping[str, Field]
    others: frozenset[str]
    subject: str
    max_bytes: int

    def admit(self, data: bytes) -> Application:
        """Check one application. Raises ApplicationRefused with everything that is wrong."""
        pairs = _object(data, self.max_bytes)
        refusals = list(self._unfit_names(pairs))
        given = dict(pairs)
        refusals += _another_version(given.pop(VERSION, None), self.version)
        values: dict[str, Value] = {}
        concerns: list[Concern] = []
        for name, field in self.fields.items():
            try:
                value = typed(field, given.get(name))
                rule = strange(field, value)
            except Unfit as unfit:
                refusals.append(Refusal(field=name, rule=unfit.rule))
                continue
            if rule and field.read and field.column.outside == "refuse":
                refusals.append(Refusal(field=name, rule=rule))
            elif rule:
                concerns.append(Concern(column=name, rule=rule, decides=field.read))  # type: ignore[arg-type]
            values[name] = None if rule and not field.read else value
        if refusals:
            known = values.get(self.subject)
            raise ApplicationRefused(refusals, None if known is None else str(known))
        return Application(str(values[self.subject]), values, tuple(concerns))

    def _unfit_names(self, pairs: Pairs) -> Iterable[Refusal]:
        seen: set[str] = set()
        for place, (name, _) in enumerate(pairs, 1):
            known = name in self.fields or name == VERSION
            told = name if known or name in self.others else f"#{place}"
            if name in seen:
                yield Refusal(field=told, rule="duplicate-field")
            elif name in self.others:
                yield Refusal(field=told, rule="not-asked-for")
            elif not known:
                hint = did_you_mean(name, self.fields)
                yield Refusal(field=told, rule="unknown-field", hint=hint)
            seen.add(name)


def compile_admission(
    contract: Contract,
    features: Iterable[str],
    texts: Mapping[str, frozenset[str]],
    max_bytes: int,
) -> Admission:
    """Return the admission for a model that reads `features`.

    An application holds the subject, the features, and if the client has them the event time and
    the protected columns. `texts` are the model's known values of texts (`Plan.texts`), for
    columns whose values the contract does not list.
    """
    read = frozenset(features)
    asked = ("subject", "event_time", "feature", "protected")
    return Admission(
        version=contract.version,
        fields={
            column.name: _field(column, read, texts.get(column.name))
            for column in contract.columns
            if column.role in asked
        },
        others=frozenset(each.name for each in contract.columns if each.role not in asked),
        subject=contract.subject.name,
        max_bytes=max_bytes,
    )


def typed(field: Field, given: object) -> Value:
    """Return a field's value as training types it; sentinels and empty text are missing.

    Raises Unfit with the rule that is broken.
    """
    value: Value = None
    missing = given is None or given == ""
    if not missing and field.texts:
        missing = as_text(given) in field.texts
    if not missing and field.fractions and isinstance(given, token):
        missing = float(given) in field.fractions
    if not missing:
        value = field.parse(given)
        if value in field.numbers:
            value = None
    if value is None and field.needed:
        raise Unfit("missing")
    return value


def strange(field: Field, value: Value) -> str | None:
    """Return the rule by which a value is outside what is documented, or None."""
    if value is None:
        return None
    if field.number and not field.low <= value <= field.high:  # type: ignore[operator]
        return "outside-range"
    if field.known is not None and value not in field.known:
        return "unseen"
    return None


def _field(column: Column, read: frozenset[str], texts: frozenset[str] | None) -> Field:
    found = [float(value) for value in column.sentinels if not isinstance(value, (str, bool))]
    whole = column.kind == "integer"
    return Field(
        column=column,
        parse=PARSERS[column.kind],
        number=column.kind in {"integer", "number"},
        needed=column.role == "subject" or (column.name in read and required(column)),
        read=column.name in read,
        texts=frozenset(text_sentinels(column)),
        numbers=frozenset(number_sentinels(column)),
        fractions=frozenset(each for each in found if whole and not each.is_integer()),
        known=_known(column) if column.allowed is not None else texts,
        low=-MOST if column.minimum is None else column.minimum,
        high=MOST if column.maximum is None else column.maximum,
    )


def _known(column: Column) -> frozenset[Value]:
    texts = [
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in column.allowed or ()
    ]
    number = column.kind in {"integer", "number"}
    return frozenset(PARSERS[column.kind](token(text) if number else text) for text in texts)


def _object(data: bytes, max_bytes: int) -> Pairs:
    if len(data) > max_bytes:
        raise ApplicationRefused([Refusal(field="", rule="too-large")])
    try:
        found = LOAD(data.decode())
        if b"\\u" in data:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except UnicodeError:
        raise ApplicationRefused([Refusal(field="", rule="not-utf-8")]) from None
    except (ValueError, RecursionError):
        raise ApplicationRefused([Refusal(field="", rule="not-json")]) from None
    if not isinstance(found, Pairs):
        raise ApplicationRefused([Refusal(field="", rule="not-an-object")])
    return found


def _another_version(given: object, version: str) -> list[Refusal]:
    # The number 1.1 is not the version "1.10", so only text is compared.
    if given is None or (type(given) is str and given == version):
        return []
    return [Refusal(field=VERSION, rule="another-schema-version")]
