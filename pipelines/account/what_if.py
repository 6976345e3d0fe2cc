"""What if: the original model asked about the same application with other values.

It is an answer to a question and no decision: none is recorded, and the look at the record is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pipelines.account.again import Where
from pipelines.account.then import Said, Then, said, then
from pipelines.contract import Column
from pipelines.decisions.admit import LOAD, Admission, ApplicationRefused
from pipelines.decisions.batch import literal
from pipelines.decisions.record import Recorder
from pipelines.decisions.records import Refusal
from pipelines.decisions.typing_json import constant, token
from pipelines.errors import BadRequest, did_you_mean
from pipelines.ledger.log import Ledger
from pipelines.records import Record

ASKED = "what-if"


class WhatIf(Record, frozen=True):
    """What the model said, and what it would have said of the changed application.

    `after` is None where the changed application breaks the contract; then `refused` says how.
    `unread` are changed columns that the model does not look at.
    """

    decision_id: str
    changed: tuple[str, ...]
    before: Said
    after: Said | None
    refused: tuple[Refusal, ...] = ()
    unread: tuple[str, ...] = ()


def what_if(
    ledger: Ledger, where: Where, number: bytes, changes: Mapping[str, str | None], person: str
) -> WhatIf:
    """Return what the decision's own model says of its application with `changes` made to it.

    `changes` are texts by column; None leaves a field out. That `person` looked is recorded first.
    Raises BadRequest for a column that is no part of an application, NotThere, Erased,
    IntegrityBroken, Unavailable.
    """
    found = Recorder(ledger).look(number, person, ASKED)
    asked = then(where, found)
    columns = checked(asked.model.admission, changes)
    data = changed(asked, [(column, changes[column.name]) for column in columns])
    names = tuple(column.name for column in columns)
    unread = tuple(name for name in names if not asked.model.admission.fields[name].read)
    try:
        application = asked.model.admission.admit(data)
    except ApplicationRefused as error:
        return WhatIf(
            decision_id=found.id,
            changed=names,
            before=asked.said,
            after=None,
            refused=error.refusals,
            unread=unread,
        )
    return WhatIf(
        decision_id=found.id,
        changed=names,
        before=asked.said,
        after=said(asked.model, application),
        unread=unread,
    )


def checked(admission: Admission, changes: Mapping[str, object]) -> list[Column]:
    """Return the columns that are to be changed. Raises BadRequest."""
    if not changes:
        raise BadRequest("nothing to change", expected="FIELD=VALUE", hint="clew what-if --help")
    for name in changes:
        if name not in admission.fields or name == admission.subject:
            known = [each for each in admission.fields if each != admission.subject]
            raise BadRequest(
                "not a field that can be changed",
                observed=name if name in admission.fields else f"{len(name)} characters",
                expected=f"a column of the contract, as {known[0]}",
                hint=did_you_mean(name, known) or "contract.yaml",
            )
    return [admission.fields[name].column for name in changes]


def changed(asked: Then, changes: Iterable[tuple[Column, str | None]]) -> bytes:
    """Return the request's bytes with fields changed; all others keep every digit."""
    fields = {name: _written(value) for name, value in LOAD(asked.request.decode())}
    for column, text in changes:
        fields.pop(column.name, None)
        if text is not None:
            fields[column.name] = literal(text, column)
    pairs = (f"{json.dumps(name)}:{value}" for name, value in fields.items())
    return ("{" + ",".join(pairs) + "}").encode()


def _written(value: object) -> str:
    """Return a value of the request as it stood there: numbers digit for digit."""
    return str(value) if isinstance(value, (token, constant)) else json.dumps(value)
