"""The facts Clew keeps: frozen, typed, each with a canonical form and a SHA-256 content id.

A record says what happened, in terms of content ids of other records and digests of files. It
holds no path, no host, no clock reading that would make the same work yield another id; times and
names of people stand only in records of what people did (Approval, Promotion).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from pipelines.canonical import canonical_json, sha256_bytes
from pipelines.typed import plain
from pipelines.whole_file import write_whole

Outcome = Literal["pass", "fail", "not-enough-data", "error"]
Json = Any  # what JSON can hold; msgspec cannot take a recursive alias


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all records."""

    def canonical(self) -> bytes:
        """Return the bytes that the id is taken over."""
        return canonical_json(plain(self))

    @property
    def id(self) -> str:
        """The SHA-256 content id: 64 hexadecimal digits."""
        return sha256_bytes(self.canonical())

    def write(self, path: Path) -> None:
        """Write the canonical form to `path`, whole or not at all, making its folder."""
        write_whole(path, self.canonical() + b"\n")


class SourceFile(Record, frozen=True):
    """One landed file as received: its name, size in bytes and SHA-256."""

    name: str
    bytes: int
    sha256: str


class Landed(Record, frozen=True):
    """What `ingest` brought in, byte for byte."""

    kind: Literal["files", "s3", "sql"]
    files: tuple[SourceFile, ...]


class Snapshot(Record, frozen=True):
    """The accepted rows of one landing, typed by the contract."""

    landed_id: str
    contract_sha256: str
    rows_sha256: str
    rows: int
    refused: int
    columns: tuple[str, ...]


class Part(Record, frozen=True):
    """One side of a split."""

    rows: int
    sha256: str


class Split(Record, frozen=True):
    """Which rows of a snapshot serve which purpose; stored, never derived again."""

    snapshot_id: str
    params_sha256: str
    parts: dict[str, Part]


class Environment(Record, frozen=True):
    """The environment that trained a model, and the determinism manifest."""

    lock_sha256: str
    packages: dict[str, str]
    python: str
    python_build: str
    executable_sha256: str
    libpython_sha256: str | None
    system: str
    machine: str
    libc: str
    cpu_features: tuple[str, ...]
    blas: tuple[str, ...]
    threads: dict[str, str]


class Candidate(Record, frozen=True):
    """A trained model that asks to become champion.

    `threshold` is the operating point as `float.hex` of a margin in log-odds: a person whose
    margin is at or above it gets the favourable outcome. Within half of `refer_band` (`float.hex`,
    log-odds) of it a person decides. `reference_sha256` is of the file that reasons compare with.
    """

    recipe: str
    estimator: str
    model_sha256: str
    split_id: str
    snapshot_id: str
    params_sha256: str
    environment_id: str
    features: tuple[str, ...]
    threshold: str
    margin: Literal["linear", "trees"]
    refer_band: str = (0.0).hex()
    reference_sha256: str | None = None


class Reference(Record, frozen=True):
    """The applicants whom reasons compare others with, as means and counts; no one's row.

    `margin` is their mean margin and `means` those of the transformed columns of a linear model
    (`float.hex`). `leaves` holds, for each leaf of the trees, pairs of bits (which of the columns
    on the way there speak for it) and a count of people.
    """

    population: str
    size: int
    plan_sha256: str
    margin: str
    means: tuple[str, ...] = ()
    leaves: tuple[tuple[tuple[int, int], ...], ...] = ()


class PlanProof(Record, frozen=True):
    """Whether a model's compiled plan gives the bits that scikit-learn gives.

    Compared were all `rows` of the split and as many `edge_cases`; `differing` are rows with
    another bit. With `proven` the plan decides; without, scikit-learn does, and `because` says why.
    """

    model_sha256: str
    plan_sha256: str | None
    rows: int
    edge_cases: int
    differing: int
    proven: bool
    because: str = ""


class Evaluation(Record, frozen=True):
    """The candidate's scores and metrics on the stored test part."""

    candidate_id: str
    test_sha256: str
    scores_sha256: str
    metrics_sha256: str


class Champion(Record, frozen=True):
    """What the registry answered when the run asked for the champion.

    `none` is an answer of a reachable registry that has no champion. A registry that does not
    answer yields no record at all.
    """

    state: Literal["none", "version"]
    model_name: str
    version: str | None = None
    candidate_id: str | None = None
    model_sha256: str | None = None


class Check(Record, frozen=True):
    """One check's result, bound to what it judged."""

    name: str
    outcome: Outcome
    observed: str
    expected: str
    candidate_id: str
    split_id: str
    policy_sha256: str
    evidence: dict[str, Json]


class Verdict(Record, frozen=True):
    """The gate's answer, bound to the digests of everything it rests on."""

    passed: bool
    blocked_by: tuple[str, ...]
    candidate_id: str
    model_sha256: str
    test_sha256: str
    params_sha256: str
    policy: str
    policy_sha256: str
    champion_id: str
    checks: dict[str, str]
    outcomes: dict[str, Outcome]


class ModelVersion(Record, frozen=True):
    """A candidate as registered; `files_sha256` is over the version's folder of files."""

    model_name: str
    version: str
    candidate_id: str
    model_sha256: str
    verdict_id: str
    passed: bool
    run_id: str
    commit: str
    registry_run: str
    files_sha256: str


class Approval(Record, frozen=True):
    """A named person's word on one verdict."""

    verdict_id: str
    model_name: str
    version: str
    approved: bool
    person: str
    reason: str
    at: str


class Promotion(Record, frozen=True):
    """The champion changed: who, when, from which version to which, on which verdict.

    Promotions are numbered from 1 and each holds the id of the one before it.
    """

    number: int
    former_id: str | None
    model_name: str
    version: str
    former_version: str | None
    verdict_id: str
    approval_id: str | None
    person: str
    reason: str
    at: str
    kind: Literal["promote", "undo"]
