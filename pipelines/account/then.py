"""The model of a decision as it decided, ready to be asked what else it would have said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pipelines.account import kept_plan
from pipelines.account.again import Where, again
from pipelines.account.knots import records
from pipelines.account.original import Original, original
from pipelines.decisions.admit import Application, ApplicationRefused
from pipelines.decisions.decide import BY_MARGIN, Judged, judge, reasons
from pipelines.decisions.load import LoadedModel, assemble, load
from pipelines.decisions.record import Recorded
from pipelines.decisions.records import Concern, Reason, Refusal
from pipelines.errors import IntegrityBroken, NotThere, Unavailable
from pipelines.model.plan import Plan
from pipelines.params import DecideParams
from pipelines.records import Record
from pipelines.release.version_files import VersionFiles


class Said(Record, frozen=True):
    """What a model makes of an application: outcome, basis, margin, why, and what is wrong."""

    outcome: str
    because: str
    margin: str | None
    reasons: tuple[Reason, ...]
    problems: tuple[Refusal | Concern, ...]


@dataclass(frozen=True, slots=True)
class Then:
    """A recorded decision's model and request, shown to give the recorded decision today."""

    model: LoadedModel
    files: VersionFiles
    request: bytes
    application: Application
    said: Said


def then(where: Where, found: Recorded) -> Then:
    """Return the model that made a decision, and what was asked of it.

    Raises NotThere where no request was kept or nothing was decided on it, and IntegrityBroken
    when the model does not give today what it gave then.
    """
    made = found.made
    if made.request is None:
        raise NotThere("the request was not kept: nobody could be named in it", where=found.id)
    version = original(where.registry, made.origin, where.state)
    records(version, made)
    model = model_of(where, version)
    try:
        application = model.admission.admit(made.request)
    except ApplicationRefused:
        raise NotThere("the application was sent back and not decided", where=found.id) from None
    answer = said(model, application)
    _refuse_another(found, answer)
    return Then(model, version.files, made.request, application, answer)


def said(model: LoadedModel, application: Application) -> Said:
    """Return what a model makes of an admitted application, stop switch and holdout aside."""
    found = judge(model, application)
    return Said(
        outcome=found.outcome,
        because=found.because,
        margin=None if found.margin is None else found.margin.hex(),
        reasons=reasons(model, found, application),
        problems=application.concerns,
    )


def judged(model: LoadedModel, data: bytes) -> tuple[Judged, Application]:
    """Return what a model makes of an application's bytes. Raises ApplicationRefused."""
    application = model.admission.admit(data)
    return judge(model, application), application


def _refuse_another(found: Recorded, answer: Said) -> None:
    """Raise IntegrityBroken when the recorded decision is not what its model gives."""
    decided = found.made.decided
    if decided.margin is not None and decided.margin != answer.margin:
        raise _not_the_same(found, "margin")
    if decided.because in BY_MARGIN and decided.outcome != answer.outcome:
        raise _not_the_same(found, "outcome")


def _not_the_same(found: Recorded, field: str) -> IntegrityBroken:
    return IntegrityBroken(
        "the model does not give today what is on record",
        where=f"{found.id}: {field}",
        hint=f"clew replay {found.id}",
    )


def model_of(where: Where, version: Original) -> LoadedModel:
    """Return a version's model: by its proven plan where that is kept, else as it is.

    A model that a former scikit-learn wrote mostly does not load in a later one. Its plan is then
    taken out of it once, in its own environment, and kept.
    """
    return _remembered(_Key(where, version))


class _Key:
    """What a loaded model is remembered by: its version; where it is got from does not count."""

    def __init__(self, where: Where, version: Original) -> None:
        self.where, self.version = where, version
        self._name = (str(version.files.folder), version.record.id)

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._name == other._name


@lru_cache(maxsize=8)
def _remembered(key: _Key) -> LoadedModel:
    version, settings = key.version, DecideParams()
    plan = kept_plan.read(version.files)
    if plan is None:
        try:
            return load(version.files, version.record, settings)
        except Exception as error:  # noqa: BLE001 - a library may fail in any way on an older model
            plan = _taken_out(key.where, version, error)
    return assemble(version.files, version.record, settings, plan, None)


def _taken_out(where: Where, version: Original, error: Exception) -> Plan:
    """Return the plan of a model that does not load here, out of its own environment."""
    if kept_plan.digest(version.files) is None:
        raise Unavailable(
            "a version without a proven plan only scores in its own environment",
            where=f"{version.record.model_name} version {version.record.version}",
            hint="clew replay ID",
        ) from error
    with again(where, version) as process:
        kept_plan.keep(version.files, process)
    plan = kept_plan.read(version.files)
    assert plan is not None  # noqa: S101 - it was kept just now
    return plan
