"""What one decision is, as facts: outcome, score, reasons, and which model really scored it."""

from __future__ import annotations

from typing import Final, Literal

from pipelines.records import Json, Record

# Whom records are kept under that are about nobody who applied. NOBODY stands for whoever sent an
# application that was refused, and so names nobody for certain; STAFF leads a member's name.
NOBODY: Final = "nobody named"
STAFF: Final = "staff "

# `refuse`: the application was sent back; nobody was decided about.
Outcome = Literal["approve", "decline", "refer", "refuse"]
# Why an outcome is what it is. Only `score` and `band` rest on the margin.
Basis = Literal["score", "band", "stopped", "holdout", "outside", "no-score", "refused"]
Scorer = Literal["plan", "scikit-learn"]


class Refusal(Record, frozen=True, tag="refusal"):
    """One thing that is wrong with an application: which field, which rule; never the value.

    `field` is a column of the contract; a name that the contract does not know is given by its
    place in the object (`#3`), for it may be anything. It is empty for the document as a whole.
    """

    field: str
    rule: str
    hint: str = ""


class Concern(Record, frozen=True, tag="concern"):
    """A value that no document says to expect, by column and rule.

    `decides`: the model reads the column, so a person decides. Otherwise the value was left out.
    """

    column: str
    rule: Literal["outside-range", "unseen"]
    decides: bool


class Reason(Record, frozen=True):
    """One principal reason: a column of the contract, its words, and its share of the margin.

    `contribution` is `float.hex` of log-odds against the reference population.
    """

    column: str
    words: str
    reg_b_code: str | None
    contribution: str


class ModelName(Record, frozen=True):
    """The model that scored, by content: what its version, candidate and file digest are."""

    model_name: str
    version: str
    candidate_id: str
    model_sha256: str
    scorer: Scorer


class Shadow(Record, frozen=True):
    """What a challenger would have said; recorded, never given out."""

    model: ModelName
    margin: str | None
    outcome: Outcome
    because: Basis


class Stop(Record, frozen=True):
    """The stop switch as it was thrown: who, why, when. While it is on, everything is referred."""

    person: str
    reason: str
    at: str


class Decided(Record, frozen=True):
    """What deciding gives: the outcome, and everything that it rests on.

    `because` is its basis. `subject` and `values` are None where they could not be read. `margin`,
    `threshold` and the band's ends are `float.hex` in log-odds; `probability` is derived from the
    margin and nothing is decided on it. There is no margin where nothing was scored. `problems`
    are what was refused, or what a person must look at. `draw` is the keyed hash of the request,
    in [0, 1), that chooses the holdout. Reasons are given out, `shadow` never.
    """

    request_id: str
    subject: str | None
    values: dict[str, Json] | None
    outcome: Outcome
    because: Basis
    model: ModelName
    margin: str | None
    probability: float | None
    threshold: str
    decline_below: str
    approve_from: str
    reasons: tuple[Reason, ...]
    problems: tuple[Refusal | Concern, ...]
    reference_sha256: str | None
    contract_sha256: str
    holdout_share: float
    draw: float
    stop: Stop | None = None
    shadow: Shadow | None = None
