"""One application as received, bytes of a JSON object, checked against the contract.

What is wrong is refused, and what no document says to expect goes to a person:

| what | answer |
|---|---|
| larger than `decide.max_bytes`, not UTF-8, not JSON, no object, a field twice | refuse |
| another version of the contract (`$contract`) | refuse |
| a field that the contract does not know, or that is no part of an application | refuse |
| a field that the model needs is missing, null or a sentinel | refuse |
| a subject that is a name kept for others, or with blanks around it or control signs | refuse |
| the wrong type; NaN, an infinity, a number beyond doubles | refuse |
| outside the documented range, or a value among no known ones | the column's `outside` rule |

A number whose range nobody documented is outside beyond 2^53. Values are typed as training types
the same text, so ``1.0`` is the integer 1 and a sentinel is a missing value. Columns that the
model does not read are typed too, for watching; what is outside there is left out and noted,
because whoever decides must not look at it.

Most applications are as documented, and C finds that out (`fast_path.py`); the code here is the
one that says what is wrong, and the reference that the fast path is tested against.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from pipelines.contract import Contract
from pipelines.decisions.fast_path import FastPath, compile_fast_path
from pipelines.decisions.fields import Field, field_of, strange, typed
from pipelines.decisions.records import Concern, Refusal
from pipelines.decisions.typing_json import Pairs, Unfit, constant, token
from pipelines.errors import BadRequest, did_you_mean
from pipelines.model.plan import Value

VERSION = "$contract"
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


class Application(msgspec.Struct, frozen=True, gc=False):
    """An admitted application: typed values by column (None: missing), and what is strange."""

    subject: str
    values: Mapping[str, Value]
    concerns: tuple[Concern, ...]

    def __repr__(self) -> str:
        return "Application(...)"

    @property
    def refer(self) -> bool:
        """Say whether a person must decide, whatever the model says."""
        return bool(self.concerns) and any(each.decides for each in self.concerns)


@dataclass(frozen=True, slots=True)
class Admission:
    """A contract compiled for one model: what an application may and must hold."""

    version: str
    fields: Mapping[str, Field]
    others: frozenset[str]
    subject: str
    max_bytes: int
    fast: FastPath

    def admit(self, data: bytes) -> Application:
        """Check one application. Raises ApplicationRefused with everything that is wrong."""
        values = self.fast.values(data) if len(data) <= self.max_bytes else None
        if values is None:
            return self.examine(data)
        return Application(str(values[self.subject]), values, ())

    def examine(self, data: bytes) -> Application:
        """Check one application field by field. Raises as `admit` does."""
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
    fields = {
        column.name: field_of(column, read, texts.get(column.name))
        for column in contract.columns
        if column.role in asked
    }
    return Admission(
        version=contract.version,
        fields=fields,
        others=frozenset(each.name for each in contract.columns if each.role not in asked),
        subject=contract.subject.name,
        max_bytes=max_bytes,
        fast=compile_fast_path(fields, VERSION, contract.version),
    )


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
