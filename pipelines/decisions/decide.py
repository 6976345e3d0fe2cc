"""One decision: approve, decline or refer, by the margin against the version's operating point.

In this order: what is wrong with an application sends it back; a stop refers everything; a value
that nobody documented goes to a person; the holdout goes to the former procedure; then the margin
decides. A margin that is no finite number decides nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass, field

import msgspec

from pipelines.decisions.admit import Application, ApplicationRefused
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.records import Basis, Decided, Outcome, Reason, Shadow
from pipelines.errors import BadRequest

BY_MARGIN: tuple[Basis, ...] = ("score", "band")
BITS = 53  # of a double: every draw is one of 2^53 equal steps in [0, 1)


@dataclass(frozen=True, slots=True)
class Holdout:
    """The share of requests that the former procedure decides, and the key of the draw."""

    share: float = 0.0
    key: bytes = b""
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod=hashlib.sha256))
        if self.share > 0.0 and not self.key:
            raise BadRequest(
                "a holdout is drawn with a secret key, or whoever asks could choose their draw",
                where="decide.holdout_share",
            )

    def __repr__(self) -> str:
        return f"Holdout(share={self.share})"

    def draw(self, request_id: str) -> float:
        """Return the number in [0, 1) that this request draws: the same each time it is asked."""
        keyed = self._keyed.copy()
        keyed.update(request_id.encode())
        return (int.from_bytes(keyed.digest()[:8], "big") >> (64 - BITS)) / (1 << BITS)


class Judged(msgspec.Struct, frozen=True, gc=False):
    """What a model makes of an application: outcome, basis, and the margin where it was scored."""

    outcome: Outcome
    because: Basis
    margin: float | None = None


def decide(standing: Standing, data: bytes, request_id: str, holdout: Holdout) -> Decided:
    """Decide one application, the bytes of a JSON object as received.

    Never raises for what an application holds: what is wrong is the outcome `refuse`.
    """
    model, draw = standing.champion, holdout.draw(request_id)
    application, refused = None, None
    try:
        application = model.admission.admit(data)
        found = _outcome(standing, application, draw < holdout.share)
    except ApplicationRefused as error:
        refused, found = error, Judged("refuse", "refused")
    return Decided(
        request_id=request_id,
        subject=application.subject if application else refused.subject if refused else None,
        values=dict(application.values) if application else None,
        outcome=found.outcome,
        because=found.because,
        model=model.name,
        margin=_hex(found.margin),
        probability=probability(found.margin),
        threshold=model.threshold.hex(),
        decline_below=model.decline_below.hex(),
        approve_from=model.approve_from.hex(),
        reasons=reasons(model, found, application) if application else (),
        problems=application.concerns if application else refused.refusals if refused else (),
        reference_sha256=model.candidate.reference_sha256,
        contract_sha256=model.contract_sha256,
        holdout_share=holdout.share,
        draw=draw,
        stop=standing.stop,
        shadow=shadow(standing, data) if application else None,
    )


def _outcome(standing: Standing, application: Application, held_out: bool) -> Judged:
    if standing.stop is not None:
        return Judged("refer", "stopped")
    found = judge(standing.champion, application)
    if held_out and found.because in BY_MARGIN:
        return Judged("refer", "holdout", found.margin)
    return found


def judge(model: LoadedModel, application: Application) -> Judged:
    """Return what one model makes of an admitted application."""
    if application.refer:
        return Judged("refer", "outside")
    margin = model.margin(application.values)
    if not math.isfinite(margin):
        return Judged("refer", "no-score", margin)
    if margin >= model.approve_from:
        return Judged("approve", "score", margin)
    if margin < model.decline_below:
        return Judged("decline", "score", margin)
    return Judged("refer", "band", margin)


def probability(margin: float | None) -> float | None:
    """Return the probability of the favourable outcome: derived, and never decided on.

    It has the bits of `score.probabilities`, and needs no library to be had again.
    """
    if margin is None or not math.isfinite(margin):
        return None
    try:
        return 1.0 / (1.0 + math.exp(-margin))
    except OverflowError:
        return 0.0


def shadow(standing: Standing, data: bytes) -> Shadow | None:
    """Return what the challenger makes of the same bytes; None without one. Never given out."""
    challenger = standing.challenger
    if challenger is None or standing.stop is not None:
        return None
    try:
        found = judge(challenger, challenger.admission.admit(data))
    except ApplicationRefused:
        found = Judged("refuse", "refused")
    except Exception:  # noqa: BLE001 - nothing that a challenger does may keep anybody waiting
        found = Judged("refer", "no-score")
    return Shadow(
        model=challenger.name,
        margin=_hex(found.margin),
        outcome=found.outcome,
        because=found.because,
    )


def reasons(model: LoadedModel, found: Judged, application: Application) -> tuple[Reason, ...]:
    """Return the reasons of a decline or of a referral by the margin; none for anything else."""
    if found.outcome == "approve" or found.because not in BY_MARGIN:
        return ()
    return model.reasons.of(application.values, found.outcome)


def _hex(value: float | None) -> str | None:
    return None if value is None else value.hex()
