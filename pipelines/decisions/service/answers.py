"""What the service answers: decisions as a client reads them, and the words a person is owed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson

from pipelines.decisions.record import Recorded
from pipelines.typed import plain

AUTOMATED: Final = {
    "approve": "An automated system made this decision.",
    "decline": "An automated system made this decision.",
    "refer": "An automated system looked at this application; a person will decide.",
    "refuse": "An automated system sent this application back; nobody was decided about.",
}
SCORED: Final = ("score", "band")


def answer(found: Recorded) -> dict[str, Any]:
    """Return the answer on one application: a decision, or the problem of a refused one."""
    decided = found.made.decided
    if decided.outcome == "refuse":
        return refused(found)
    return {
        "decision_id": found.id,
        "decision": decided.outcome,
        "because": decided.because,
        "score": score(found),
        "reasons": [
            {"field": each.column, "words": each.words, "code": each.reg_b_code}
            for each in decided.reasons
        ],
        "notice": notice(found),
        "model": {"name": decided.model.model_name, "version": decided.model.version},
        "receipt": receipt(found),
    }


def refused(found: Recorded) -> dict[str, Any]:
    """Return the problem of an application that was sent back, by field and rule."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return {
        "type": "urn:clew:problem:application-refused",
        "title": "The application was sent back",
        "status": int(status),
        "detail": "mend the fields named and send it again",
        "errors": [plain(each) for each in found.made.decided.problems],
        "decision_id": found.id,
        "decision": "refuse",
        "notice": notice(found),
        "receipt": receipt(found),
    }


def score(found: Recorded) -> dict[str, Any] | None:
    """Return the score where the decision rests on one: log-odds, exact and as a number."""
    decided = found.made.decided
    if decided.margin is None or decided.because not in SCORED:
        return None
    return {
        "margin": decided.margin,
        "log_odds": float.fromhex(decided.margin),
        "probability": decided.probability,
        "approved_from": decided.approve_from,
    }


def notice(found: Recorded) -> dict[str, str]:
    """Return that an automated system was at work, and how to contest what it said."""
    return {
        "automated": AUTOMATED[found.made.decided.outcome],
        "contest": found.made.call.notice,
    }


def receipt(found: Recorded) -> dict[str, Any]:
    """Return what proves, offline, that the decision is in the log.

    Written to ``entry.json`` and ``proof.tlog-proof`` of a folder, it is a bundle that the
    one-file verifier takes.
    """
    return {"index": found.index, "entry": found.entry.decode(), "proof": found.proof}


def whole(found: Recorded) -> dict[str, Any]:
    """Return everything recorded about a decision, for who may read it."""
    return {"decision_id": found.id, "recorded": plain(found.made), "receipt": receipt(found)}


def encode(value: object) -> bytes:
    """Return JSON bytes."""
    return orjson.dumps(value)
