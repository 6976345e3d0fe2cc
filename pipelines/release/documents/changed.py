"""Facts of a retrain: what was foreseen, and how the candidate compares with the champion."""

from __future__ import annotations

from pipelines.records import Verdict
from pipelines.release import modification
from pipelines.release.documents.fact import Known, Row, Source, Table, listed, told, under
from pipelines.release.policy import Envelope, Policy
from pipelines.release.version_files import VersionFiles, record_id
from pipelines.typed import read_json


def of_change(files: VersionFiles) -> Known:
    """Return the facts of a version's modification report."""
    policy, verdict = read_json(files.policy, Policy), read_json(files.verdict, Verdict)
    pack = Source("policy pack", verdict.policy_sha256)
    facts = told(pack, declared=_foreseen(policy.envelope) if policy.envelope else None)
    found = modification.of(files)
    if found is not None:
        source = Source("modification", record_id(files.modification))
        facts |= told(source, word=found.word, champion=found.former and f"version {found.former}")
        facts["lines"] = Table(
            "Candidate beside champion",
            ("what", "champion", "this version", "foreseen", "inside"),
            tuple(
                Row((e.name, e.former, e.now, e.allowed, "yes" if e.inside else "NO"), source)
                for e in found.lines
            ),
        )
    return under("modification", facts)


def _foreseen(envelope: Envelope) -> str:
    ranges = (f"{n} {low:g} to {high:g}" for n, (low, high) in envelope.hyperparameters.items())
    inputs = "the same or fewer" if envelope.inputs == "fewer" else envelope.inputs
    return (
        f"estimator {envelope.estimator}; inputs {inputs}; contract of the data "
        f"{envelope.contract}; {listed(ranges) or 'hyperparameters as they were'}; ROC AUC at most "
        f"{envelope.max_loss:g} lower; lowest selection-rate ratio at least "
        f"{envelope.min_ratio:g}; operating point moved by at most "
        f"{envelope.max_threshold_shift:g} log-odds. {envelope.because}"
    )
