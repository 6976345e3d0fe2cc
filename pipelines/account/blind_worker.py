"""What runs inside the sandbox of a blind audit: the model meets the auditor's data, figures leave.

One JSON object comes in on stdin, one goes out on stdout: counts and rates of groups that are large
enough, and a keyed sketch of the data by which another audit on nearly the same data is known.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.contract import Contract
from pipelines.data import cast, groups, read
from pipelines.decisions.admit import ApplicationRefused
from pipelines.decisions.batch import application, columns, members_of
from pipelines.decisions.decide import judge
from pipelines.decisions.load import LoadedModel, load
from pipelines.errors import BadRequest, ClewError
from pipelines.model import metrics
from pipelines.params import DecideParams
from pipelines.records import Json, ModelVersion
from pipelines.release.version_files import VersionFiles
from pipelines.typed import plain

BLOCK: Final = 1000
SKETCH: Final = (
    512  # the smallest keyed digests of a set tell how much two sets share (Broder 1997)
)
DIGITS: Final = 3  # of a number, so that a small change to it makes nobody another person
ROUND: Final = 5  # people are told in steps of this
MOST_BINS: Final = 10
NOT_COUNTED: Final = (groups.UNKNOWN, groups.SEVERAL)


class Job(msgspec.Struct, frozen=True):
    """Where model and data stand, what is asked, and how little may leave."""

    files: str
    version: ModelVersion
    settings: DecideParams
    source: str
    key: str
    ask: tuple[str, ...]
    min_group_size: int
    digits: int


@dataclass(frozen=True, slots=True)
class People:
    """The rows that were decided: margin, outcome, target (-1: not given), groups, identities."""

    margin: NDArray[np.float64]
    approved: NDArray[np.int64]
    referred: NDArray[np.bool_]
    target: NDArray[np.int64]
    group: pd.DataFrame
    identity: list[str]
    refused: int


def decided(model: LoadedModel, source: Path, key: bytes) -> People:
    """Let the model decide about every row of a file, as the decision service would."""
    margins, outcomes, values, targets, identity, refused = [], [], [], [], [], 0
    for data, target in _rows(source, model.contract):
        try:
            admitted = model.admission.admit(data)
        except ApplicationRefused:
            refused += 1
            continue
        found = judge(model, admitted)
        margins.append(np.nan if found.margin is None else found.margin)
        outcomes.append(found.outcome)
        values.append(dict(admitted.values))
        targets.append(target)
        identity.append(_identity(admitted.values, target, model.contract, key))
    frame = pd.DataFrame(values)
    protected = frame.reindex(columns=[c.name for c in model.contract.by_role("protected")])
    return People(
        margin=np.array(margins, dtype=np.float64),
        approved=np.array([each == "approve" for each in outcomes], dtype=np.int64),
        referred=np.array([each == "refer" for each in outcomes], dtype=bool),
        target=np.array(targets, dtype=np.int64),
        group=groups.groups(protected, model.contract),
        identity=identity,
        refused=refused,
    )


def _rows(source: Path, contract: Contract) -> Iterator[tuple[bytes, int]]:
    """Yield each row as an application, and its target: 1 favourable, 0 not, -1 not given."""
    names = read.names(source, "utf-8")
    asked, target = columns(contract, names), contract.target
    wanted = [column.name for column in asked] + [target.name] * (target.name in names)
    good = str(target.favourable).lower()
    for table in read.chunks([source], wanted, "utf-8", BLOCK):
        truth: Sequence[str] = [""] * table.num_rows
        if target.name in names:
            typed = cast.cast(table.column(target.name).combine_chunks(), target)
            frame = cast.frame(pa.table([typed.values], [target.name]))  # noqa: PD011
            truth = groups.as_text(frame[target.name], target).tolist()
        for each, told in zip(zip(*members_of(table, asked), strict=True), truth, strict=True):
            yield application(each), int(told.lower() == good) if told else -1


def _identity(values: Any, target: int, contract: Contract, key: bytes) -> str:  # noqa: ANN401
    """Return a keyed digest that is the same for rows that differ in nothing that matters."""
    subject = contract.subject.name
    told = [
        f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
        for name, value in sorted(values.items())
        if name != subject
    ]
    return hmac.new(key, "\n".join([*told, str(target)]).encode(), hashlib.sha256).hexdigest()


def figures(people: People, job: Job) -> dict[str, Json]:
    """Return what may be known: each answer that was asked for. Raises BadRequest."""
    answers = {"bias": bias, "error": error, "calibration": calibration}
    if len(set(people.identity)) < job.min_group_size:
        raise BadRequest(
            "too few different people for any figure", expected=f"at least {job.min_group_size}"
        )
    if job.ask != ("bias",) and not (people.target >= 0).all():
        raise BadRequest("error and calibration need the target of every row")
    return {name: answers[name](people, job) for name in job.ask}


def bias(people: People, job: Job) -> dict[str, Json]:
    """Return rates of each group of each protected attribute that is large enough."""
    return {str(name): _attribute(people, str(name), job) for name in people.group.columns}


def _attribute(people: People, attribute: str, job: Job) -> dict[str, Json]:
    named = people.group[attribute].to_numpy(dtype=str)
    sizes = _sizes(named, people.identity)
    shown = large_enough(sizes, job.min_group_size, job.digits)
    told = {name: _rates(people, named == name, job) for name in shown}
    best = max((each["selection_rate"] for each in told.values()), default=0.0)
    for each in told.values():
        each["impact_ratio"] = _rounded(each["selection_rate"] / best, job.digits) if best else None
        each["selection_rate"] = _rounded(each["selection_rate"], job.digits)
    return {"groups": told, "withheld": len(sizes) - len(shown)}


def _rates(people: People, inside: NDArray[np.bool_], job: Job) -> dict[str, Any]:
    """Return the rates of some people; one that rests on too few different ones is withheld."""
    good, approved = people.target == 1, people.approved == 1
    rests_on = {
        "true_positive_rate": (good, approved),
        "false_positive_rate": (people.target == 0, approved),
        "positive_predictive_value": (approved, good),
    }
    found: dict[str, Any] = {
        "people": _about(int(inside.sum())),
        "selection_rate": float(approved[inside].mean()),
    }
    if not (people.target[inside] >= 0).all():
        return found
    for name, (given, then) in rests_on.items():
        some = inside & given
        enough = _different(people, some) >= job.min_group_size
        found[name] = _rounded(float(then[some].mean()), job.digits) if enough else None
    return found


def _different(people: People, some: NDArray[np.bool_]) -> int:
    return len({people.identity[at] for at in np.flatnonzero(some)})


def _sizes(named: NDArray[np.str_], identity: Sequence[str]) -> dict[str, int]:
    """Return how many different people are in each group: copies of one row count once."""
    found: dict[str, set[str]] = {}
    for name, each in zip(named.tolist(), identity, strict=True):
        found.setdefault(name, set()).add(each)
    return {name: len(people) for name, people in sorted(found.items())}


def large_enough(sizes: dict[str, int], least: int, digits: int) -> list[str]:
    """Return the groups that may be shown.

    What is withheld must be `least` people together or none: a single small group would follow from
    the whole less the others, so the smallest of those is withheld with it. That is not needed
    where rounding the whole's rate to `digits` leaves more people open than are withheld. People of
    unknown group are none.
    """
    whole = sum(sizes.values())
    shown = sorted(
        (name for name, size in sizes.items() if size >= least and name not in NOT_COUNTED),
        key=lambda name: sizes[name],
    )
    hidden = whole - sum(sizes[name] for name in shown)
    while shown and whole * 10.0**-digits < hidden < least:
        hidden += sizes[shown.pop(0)]
    return shown


def error(people: People, job: Job) -> dict[str, Json]:
    """Return how often the model and the target agree, of everybody."""
    scored, right = np.isfinite(people.margin), people.approved == people.target
    found = _rates(people, np.ones(len(right), dtype=bool), job)
    found["selection_rate"] = _rounded(found["selection_rate"], job.digits)
    auc = metrics.of_rows(people.margin[scored], people.target[scored])["roc_auc"]
    few = min(_different(people, scored & (people.target == each)) for each in (0, 1))
    return found | {
        "accuracy": _rounded(float(right.mean()), job.digits),
        "base_rate": _rounded(float(people.target.mean()), job.digits),
        "referred": _rounded(float(people.referred.mean()), job.digits),
        "roc_auc": _rounded(auc, job.digits) if few >= job.min_group_size else None,
    }


def calibration(people: People, job: Job) -> dict[str, Json]:
    """Return, for bins of enough people each, the mean probability and the share observed."""
    scored = np.isfinite(people.margin)
    margin, target = people.margin[scored], people.target[scored]
    different = len(set(people.identity))
    bins = min(MOST_BINS, different // job.min_group_size)
    if not bins or len(margin) < bins * job.min_group_size:
        return {"bins": [], "withheld": 1}
    share = 1.0 / (1.0 + np.exp(-margin))
    order = np.array_split(np.argsort(margin, kind="stable"), bins)
    told = [
        {
            "people": _about(len(each)),
            "probability": _rounded(float(share[each].mean()), job.digits),
            "observed": _rounded(float(target[each].mean()), job.digits),
        }
        for each in order
    ]
    return {"bins": told, "withheld": 0}


def _about(people: int) -> int:
    return int(people) // ROUND * ROUND


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None


def sketch(identity: Sequence[str]) -> list[str]:
    """Return the smallest keyed digests of a set of people."""
    return sorted(set(identity))[:SKETCH]


def answer(job: Job) -> dict[str, Json]:
    """Return the report of one job."""
    model = load(VersionFiles(Path(job.files)), job.version, job.settings)
    people = decided(model, Path(job.source), bytes.fromhex(job.key))
    whole = "\n".join(sorted(people.identity)).encode()
    return {
        "figures": figures(people, job),
        "people": _about(len(set(people.identity))),
        "refused": _about(people.refused),
        "sketch": sketch(people.identity),
        "set": hmac.new(bytes.fromhex(job.key), whole, hashlib.sha256).hexdigest(),
    }


def answered(job: Job) -> str:
    """Return the answer as JSON; a refusal is one too, and no other word of an error leaves."""
    try:
        told: dict[str, Json] = {"answer": answer(job)}
    except ClewError as refused:
        told = {"refused": [refused.what, plain(refused.expected)]}
    except Exception as fault:  # noqa: BLE001 - a library's message may quote the data
        told = {"refused": [f"the audit failed: {type(fault).__name__}", None]}
    return json.dumps(told)


def main() -> None:
    """Answer the job on stdin."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    out, sys.stdout = sys.stdout, sys.stderr
    out.write(answered(job))


if __name__ == "__main__":
    main()
