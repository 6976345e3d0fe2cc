"""Dated policy packs: which checks gate, at which thresholds, under which law.

A pack is one YAML file in `policies/`, named as it names itself. Its thresholds must be older
than the run that they judge, so the pack is compared, byte for byte, with the commit that the run
started from.
"""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from pipelines.canonical import sha256_json
from pipelines.errors import BadRequest, NotThere, Unavailable, did_you_mean
from pipelines.layout import Layout
from pipelines.records import Outcome
from pipelines.typed import convert, plain, read_yaml
from pipelines.watch_params import WatchActions

HEAD = "HEAD"
T = TypeVar("T", bound="Thresholds")
Threshold = bool | int | float | str | tuple[str, ...] | dict[str, str] | None


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the parts of a pack: an unknown, missing or mistyped key is refused."""


class Thresholds(Part, frozen=True):
    """Base of each check's thresholds; a check declares its own, without defaults."""


class Source(Part, frozen=True):
    """A text of law or supervision, and what is taken from it."""

    text: str
    says: str


class Rule(Part, frozen=True):
    """What a pack says of one check.

    `gates`: whether a failure blocks. `not_enough_data`: whether too few rows to judge block, or
    are watched in production instead. `because` is the reason, for a reader who was not there.
    """

    gates: bool
    not_enough_data: Literal["block", "watch"]
    because: str
    thresholds: dict[str, Threshold]

    def blocks(self, outcome: Outcome) -> bool:
        """Say whether this outcome of the check blocks a candidate."""
        watched = outcome == "not-enough-data" and self.not_enough_data == "watch"
        return self.gates and outcome != "pass" and not watched


class Retention(Part, frozen=True):
    """How long records of one purpose must be kept, and why; erasure waits until then."""

    months: int
    because: str


class Answering(Part, frozen=True):
    """Within how many days a contest is answered, and why."""

    days: int
    because: str


class Reporting(Part, frozen=True):
    """Within how many days an incident of each kind is reported, and why."""

    days: dict[str, int]
    because: str


class TrainingData(Part, frozen=True):
    """What becomes of training data that hold a person who is erased, and how long data are held.

    Both name the snapshots and versions. With `exclude` the person is left out of whatever lands
    from then on, and data that hold them train nothing more; with `list` that is a person's task.
    Data are held `months` long, from the end of their newest run's month.
    """

    on_erasure: Literal["list", "exclude"]
    months: int
    because: str


class Letters(Part, frozen=True):
    """What a letter about a decision holds beyond what every letter does.

    `notice` is by language; ``{agency}`` in it is the one that `params.yaml` names. With `codes`
    each reason carries the contract's Regulation B words. `because` says which text asks for it.
    """

    notice: dict[str, str]
    codes: bool
    because: str


class Envelope(Part, frozen=True):
    """Which changes of a retrain are foreseen, declared before it; a person is asked of any other.

    Beside the champion: `estimator` the same family, `inputs` the same or fewer, the data of the
    same `contract`. `hyperparameters` are ranges by name, `approval_rate` may be one; what has no
    range stays as it was, mitigation too. ROC AUC falls by at most `max_loss`, the lowest
    selection-rate ratio is at least `min_ratio`, and operating point and refer band move by at most
    `max_threshold_shift` log-odds.
    """

    estimator: Literal["same", "any"]
    inputs: Literal["same", "fewer", "any"]
    contract: Literal["same", "any"]
    hyperparameters: dict[str, tuple[float, float]]
    max_loss: float
    min_ratio: float
    max_threshold_shift: float
    because: str


class Risk(Part, frozen=True):
    """A row of the risk register: what may go wrong, and which checks and findings guard it.

    `checks` are names of the pack's checks, `watch` of the watch's. `because` names the right or
    rule that is at stake.
    """

    risk: str
    checks: tuple[str, ...]
    watch: tuple[str, ...]
    because: str


class Policy(Part, frozen=True, omit_defaults=True):
    """One pack. A high tier means that a named person approves every promotion.

    A part that a pack does not have is no part of its digest.
    """

    name: str
    jurisdiction: str
    in_force_from: dt.date
    in_force_until: dt.date | None
    risk_tier: Literal["high", "limited", "minimal"]
    risk_because: str
    sources: tuple[Source, ...]
    checks: dict[str, Rule]
    retention: dict[str, Retention] = {}
    contest: Answering | None = None
    incident: Reporting | None = None
    letter: Letters | None = None
    training_data: TrainingData | None = None
    envelope: Envelope | None = None
    risks: tuple[Risk, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 over the canonical form."""
        return sha256_json(plain(self))

    @property
    def approval_required(self) -> bool:
        return self.risk_tier == "high"

    @property
    def gating(self) -> tuple[str, ...]:
        """Return the names of the checks whose failure blocks."""
        return tuple(name for name, rule in self.checks.items() if rule.gates)

    def in_force(self, on: dt.date) -> bool:
        """Say whether the pack is in force on a day; both of its dates count as days in force."""
        until = self.in_force_until or dt.date.max
        return self.in_force_from <= on <= until


def pack_path(layout: Layout, name: str) -> Path:
    """Return where the pack `name` stands."""
    return layout.policies / f"{name}.yaml"


def read(layout: Layout, name: str) -> Policy:
    """Read one pack by name. Raises NotThere with the closest name, or BadRequest."""
    path = pack_path(layout, name)
    if not path.is_file():
        known = sorted(each.stem for each in layout.policies.glob("*.yaml"))
        raise NotThere(
            "no such policy pack",
            where=f"params.yaml: policy: {name}",
            expected=", ".join(known) or "a file in policies/",
            hint=did_you_mean(name, known),
        )
    policy = read_yaml(path, Policy)
    if policy.name != name:
        raise BadRequest(
            "a policy pack is named as its file is",
            where=path.name,
            observed=policy.name,
            expected=name,
        )
    for check, rule in policy.checks.items():
        if not rule.because.strip():
            raise BadRequest("a policy pack gives its reason", where=f"{path.name}: {check}")
    for risk in policy.risks:
        _refuse_unknown(risk.checks, policy.checks, f"{path.name}: risks: checks")
        _refuse_unknown(risk.watch, WatchActions.__struct_fields__, f"{path.name}: risks: watch")
    return policy


def _refuse_unknown(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Raise BadRequest when a risk is guarded by something that is not there."""
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise BadRequest(
                "a risk names a guard that is not there", where=where, observed=name, hint=hint
            )


def thresholds(policy: Policy, check: str, kind: type[T]) -> T:
    """Return one check's thresholds as that check's own type.

    Raises NotThere when the pack does not name the check, BadRequest with the closest key.
    """
    if check not in policy.checks:
        raise NotThere(
            "the policy pack does not name this check",
            where=f"{policy.name}.yaml: {check}",
            expected=", ".join(policy.checks),
        )
    raw = policy.checks[check].thresholds
    return convert(raw, kind, f"{policy.name}.yaml: {check}")


def thresholds_committed(layout: Layout, policy: Policy, commit: str | None) -> tuple[str, ...]:
    """Return the reasons why the pack may not judge this run; none when its thresholds are older.

    `commit` is the one that the run started from (None on a laptop: the one checked out). The
    pack must be byte-identical there, that commit must be HEAD or an ancestor of it, and the pack
    must have been in force on that commit's day. A git that does not answer is a reason too.
    """
    base = commit or HEAD
    try:
        return tuple(_older(layout, policy, base))
    except Unavailable as error:
        return (f"the age of the thresholds cannot be known: {error.what}",)


def file_committed(layout: Layout, path: Path, commit: str | None) -> tuple[str, ...]:
    """Return the reasons why a file of expectations may not judge this run.

    It must be byte-identical in the commit that the run started from (None: the one checked out).
    """
    try:
        return tuple(_newer(layout, path, f"file {path.name}", commit or HEAD))
    except Unavailable as error:
        return (f"the age of {path.name} cannot be known: {error.what}",)


def _older(layout: Layout, policy: Policy, base: str) -> Iterable[str]:
    if not _is_ancestor(layout, base):
        yield f"the run's commit {base[:12]} is not an ancestor of the checkout's"
        return
    yield from _newer(layout, pack_path(layout, policy.name), f"policy pack {policy.name}", base)
    day = _committed_on(layout, base)
    if not policy.in_force(day):
        yield f"the policy pack {policy.name} was not in force on {day.isoformat()}"


def _newer(layout: Layout, path: Path, what: str, base: str) -> Iterable[str]:
    there = f"{base}:./{path.relative_to(layout.root).as_posix()}"
    stored = _git(layout, "cat-file", "blob", there)
    if stored.returncode != 0:
        yield f"the {what} is not committed at {base[:12]}"
    elif stored.stdout != path.read_bytes():
        yield f"the {what} was changed after {base[:12]}"


def _is_ancestor(layout: Layout, base: str) -> bool:
    done = _git(layout, "merge-base", "--is-ancestor", base, HEAD)
    if done.returncode not in {0, 1}:
        raise Unavailable(f"git does not know the commit {base[:12]} or this checkout")
    return done.returncode == 0


def _committed_on(layout: Layout, base: str) -> dt.date:
    done = _git(layout, "show", "--no-patch", "--format=%cs", base)
    if done.returncode != 0:
        raise Unavailable(f"git gives no date for the commit {base[:12]}")
    return dt.date.fromisoformat(done.stdout.decode().strip())


def _git(layout: Layout, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "--no-replace-objects", *words]
    try:
        return subprocess.run(  # noqa: S603
            command, cwd=layout.root, capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"git did not answer ({type(error).__name__})") from None
