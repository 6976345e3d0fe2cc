"""At registration: whether the candidate's compiled plan gives the pipeline's bits."""

from __future__ import annotations

from pipelines.layout import Layout, Model
from pipelines.ports import Tag
from pipelines.records import Candidate, PlanProof, Split
from pipelines.typed import read_json

SCIKIT_LEARN = "scikit-learn"


def prove(layout: Layout) -> PlanProof:
    """Compare the candidate's plan with its pipeline on the whole split and on edge cases.

    A plan that is not proven is no error: the record says why, and scikit-learn will score.
    Raises IntegrityBroken when the model or a part is not what its record says.
    """
    from pipelines.model import parts, proof, store

    files = Model(layout.candidate)
    candidate = read_json(files.record, Candidate)
    split = read_json(layout.split_record, Split)
    model = store.load(files.model, candidate.model_sha256)
    frames = (parts.read(layout, split, name) for name in ("train", "test"))
    return proof.prove(model, candidate.margin, candidate.model_sha256, frames)


def tags(proof: PlanProof) -> dict[str, str]:
    """Return the tags that say how a version scores, and why not by its plan."""
    how = "plan" if proof.proven else f"{SCIKIT_LEARN}: {proof.because}"
    return {Tag.SCORER.value: how, Tag.PLAN.value: proof.plan_sha256 or "none"}
