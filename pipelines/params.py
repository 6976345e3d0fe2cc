"""Every number a reviewer may want to change: `params.yaml`, typed and frozen.

Unknown or missing keys are refused. Thresholds of the checks stand in the policy pack.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Literal

import msgspec

from pipelines.canonical import sha256_json
from pipelines.documentation import Documentation
from pipelines.errors import BadRequest, did_you_mean
from pipelines.typed import Section, load_yaml, plain, read_yaml
from pipelines.watch_params import WatchParams


class Source(Section, frozen=True):
    """Where new data lands.

    `kind` files: a folder (`location`) and a name `pattern`; s3: a prefix ``s3://bucket/prefix``;
    sql: `location` names the environment variable that holds the database URL, and `query` what
    to read.
    """

    kind: Literal["files", "s3", "sql"]
    location: str
    pattern: str = "*"
    query: str | None = None
    settle_seconds: float = 2.0


class Data(Section, frozen=True):
    """How landed data is read and how much of it may be refused."""

    source: Source
    encoding: str
    chunk_rows: int
    max_refused_share: float


class SplitParams(Section, frozen=True):
    """How a snapshot is split. `time` puts the latest `test_share` of subjects in test."""

    method: Literal["random", "time"]
    test_share: float
    seed: int


class Mitigation(Section, frozen=True):
    """A fairness-aware search over reweighted fits (Agarwal et al. 2018, grid search reduction).

    The fit with the highest out-of-fold ROC AUC whose out-of-fold selection-rate ratio of every
    group of `attribute` with at least `min_group_size` people is at least `target_ratio` is taken;
    out-of-fold scores are the mean over `repeats` ways to cut `folds`. The protected attribute
    weighs training rows and is no input of the model.
    """

    method: Literal["grid_search"]
    constraint: Literal["demographic_parity", "true_positive_rate_parity"]
    attribute: str
    grid_size: int
    grid_limit: float
    folds: int
    target_ratio: float
    repeats: int = 1
    min_group_size: int = 30


class Recipe(Section, frozen=True):
    """How one candidate is made: estimator, inputs, mitigation, operating point.

    `approval_rate` is the share of the training part, scored out of fold, that gets the
    favourable outcome; it fixes the threshold in log-odds.
    """

    estimator: Literal["logistic_regression", "hist_gradient_boosting"]
    hyperparameters: dict[str, int | float | str | bool | None]
    approval_rate: float
    seed: int
    protected_as_features: bool = False
    exclude: tuple[str, ...] = ()
    mitigation: Mitigation | None = None


class EvaluateParams(Section, frozen=True):
    """Bootstrap and group settings of the evaluation."""

    bootstrap_samples: int
    confidence: float
    seed: int
    min_group_size: int


class ReferenceParams(Section, frozen=True):
    """Whom a decision's reasons compare a person with, chosen out of the training part.

    `above_cutoff`: the up to `size` applicants at or just above the operating point; `all`: `size`
    of all applicants, evenly spaced by margin (12 CFR 1002.9, comment 9(b)(2)-5 names both).
    """

    population: Literal["above_cutoff", "all"] = "above_cutoff"
    size: int = 50


class DecideParams(Section, frozen=True):
    """How one application is decided.

    `reference` and `refer_band` come with the model version; the others with the service.
    `refer_band` is a width in log-odds, half of it to each side of the operating point, inside
    which a person decides. `holdout_share` of the requests, at random, go to the former procedure.
    `max_reasons` principal reasons are given; an application has at most `max_bytes`.
    """

    reference: ReferenceParams = ReferenceParams()
    refer_band: float = 0.0
    holdout_share: float = 0.0
    max_reasons: int = 4
    max_bytes: int = 65536


class LetterParams(Section, frozen=True):
    """Who answers for the decisions, as it stands in every letter.

    `agency` is the authority that the policy pack's notice names; `language` the letters' own where
    none is asked for. `translations` holds, by language and column, the words of reasons and data
    in other languages than the contract's; what is not there stays in the contract's words.
    """

    organisation: str = ""
    address: str = ""
    contact: str = ""
    agency: str = ""
    language: str = "en"
    contract_language: str = "en"
    translations: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)


class EnergyParams(Section, frozen=True):
    """`watts` of one busy core: what energy is estimated by where the machine does not tell it."""

    watts: float = 15.0


class AuditParams(Section, frozen=True):
    """How much an auditor without access to the model may learn of it in a blind audit.

    Figures of groups with fewer than `min_group_size` different people are withheld, rates are
    rounded to `digits`. For each model version there are at most `most_blind` audits, and no two on
    data of which more than `max_overlap` are the same people.
    """

    min_group_size: int = 30
    digits: int = 2
    most_blind: int = 10
    max_overlap: float = 0.5


class Schedules(Section, frozen=True):
    """Cron expressions in UTC."""

    prepare_data: str
    train_model: str
    watch_decisions: str = "0 5 1 * *"
    audit_ledger: str = "0 3 * * *"


class Params(Section, frozen=True):
    """The whole file."""

    model_name: str
    policy: str
    candidate: str
    data: Data
    split: SplitParams
    candidates: dict[str, Recipe]
    evaluate: EvaluateParams
    schedules: Schedules
    decide: DecideParams = DecideParams()
    letter: LetterParams = LetterParams()
    audit: AuditParams = AuditParams()
    watch: WatchParams = WatchParams()
    documentation: Documentation = Documentation()
    energy: EnergyParams = EnergyParams()

    @property
    def recipe(self) -> Recipe:
        """The recipe that `candidate` names. Raises BadRequest with the closest name."""
        if self.candidate not in self.candidates:
            raise BadRequest(
                "no such candidate",
                where="params.yaml: candidate",
                observed=self.candidate,
                expected=", ".join(sorted(self.candidates)),
                hint=did_you_mean(self.candidate, self.candidates),
            )
        return self.candidates[self.candidate]

    @property
    def judged_sha256(self) -> str:
        """SHA-256 over what a verdict depends on: not the schedules, source and service."""
        kept = {
            "model_name": self.model_name,
            "policy": self.policy,
            "split": plain(self.split),
            "recipe": plain(self.recipe),
            "evaluate": plain(self.evaluate),
            "decide": {
                "reference": plain(self.decide.reference),
                "refer_band": self.decide.refer_band,
                "max_reasons": self.decide.max_reasons,
            },
        }
        return sha256_json(kept)


SHARES = (
    "data.max_refused_share",
    "split.test_share",
    "evaluate.confidence",
    "decide.holdout_share",
    "audit.max_overlap",
    "watch.alpha",
    "watch.confidence",
    "watch.max_null_rate_change",
    "watch.max_new_share",
    "watch.max_association",
    "watch.max_influence",
    "watch.max_association_rise",
    "watch.max_influence_rise",
)
COUNTS = (
    "data.chunk_rows",
    "evaluate.bootstrap_samples",
    "evaluate.min_group_size",
    "decide.max_reasons",
    "decide.max_bytes",
    "audit.min_group_size",
    "audit.most_blind",
    "watch.min_rows",
    "watch.bands",
    "watch.control_run",
    "watch.crossed",
    "watch.influence_sample",
    "watch.bootstrap_samples",
    "watch.snapshots",
    "watch.rows_per_part",
)
LEAST_REFERENCE = (
    10  # what is kept of a reference are counts and means: never those of a few people
)
MAX_WATTS = 1000.0  # more than any core draws
MAX_BAND = 1000.0  # log-odds: wider than any band that leaves something to decide


def read(path: Path) -> Params:
    """Read `params.yaml`. Raises NotThere or BadRequest."""
    params = read_yaml(path, Params)
    for name in SHARES:
        _in_range(name, _get(params, name), 0.0, 1.0)
    for name in COUNTS:
        _in_range(name, _get(params, name), 1, float("inf"))
    _in_range("decide.reference.size", params.decide.reference.size, LEAST_REFERENCE, float("inf"))
    _in_range("decide.refer_band", params.decide.refer_band, 0.0, MAX_BAND)
    _in_range("energy.watts", params.energy.watts, 0.0, MAX_WATTS)
    for name, recipe in params.candidates.items():
        _in_range(f"candidates.{name}.approval_rate", recipe.approval_rate, 0.0, 1.0)
    _ = params.recipe
    return params


def override(path: Path, changes: dict[str, str]) -> str:
    """Return the text of the file with top-level keys set: what a run's trigger form may choose.

    Only `candidate` and `policy` may be chosen at the trigger. Comments and order are kept.
    """
    allowed = ("candidate", "policy")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    known = load_yaml(path)
    for key, value in changes.items():
        if key not in allowed or not isinstance(known, dict) or key not in known:
            hint = did_you_mean(key, allowed)
            raise BadRequest(f"a run cannot choose '{key}'", expected=", ".join(allowed), hint=hint)
        if not value.replace("_", "").replace("-", "").isalnum():
            raise BadRequest(f"not a name for '{key}'", expected="letters, digits, _ and -")
        lines = [f"{key}: {value}\n" if line.startswith(f"{key}:") else line for line in lines]
    return "".join(lines)


def _get(params: Params, name: str) -> float:
    value: float = operator.attrgetter(name)(params)
    return value


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadRequest(
            "a parameter is out of range",
            where=f"params.yaml: {name}",
            observed=value,
            expected=f"between {low} and {high}",
        )
