"""Which column came from which, where that is known for certain."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines import flow
from pipelines.lineage import facets
from pipelines.lineage.datasets import Dataset
from pipelines.lineage.facets import Facet
from pipelines.records import Candidate, Record

# The steps that hand a table's columns on under their own names, and the table they read.
HANDED_ON = {"snapshot": ("valid", "snapshot"), "split": ("snapshot", "split")}
PARSED = ("landed", "valid")
SCORE = "margin"
Sources = dict[str, list[tuple[str, str, str]]]


def of(
    step: str, inputs: Sequence[Dataset], output: Dataset, stored: Sequence[Record | None]
) -> dict[str, Facet]:
    """Return the column lineage facet of one output, or nothing where none can be claimed.

    Columns that only Clew adds begin with an underscore and come from nowhere.
    """
    read = {each.name: each for each in inputs}
    if step in HANDED_ON and output.name == flow.path(HANDED_ON[step][1]):
        source = read[flow.path(HANDED_ON[step][0])]
        kept = {name for name, _ in source.columns}
        return _facet({name: [source] for name, _ in output.columns if name in kept}, "IDENTITY")
    if step == "validate" and output.name == flow.path(PARSED[1]):
        landed = read[flow.path(PARSED[0])]
        parsed = [name for name, _ in output.columns if not name.startswith("_")]
        return _facet({name: [landed] for name in parsed}, "TRANSFORMATION")
    candidate = next((each for each in stored if isinstance(each, Candidate)), None)
    if step == "train" and candidate:
        return _scored(candidate, read[flow.path("split")])
    return {}


def _scored(candidate: Candidate, split: Dataset) -> dict[str, Facet]:
    known = {name for name, _ in split.columns}
    sources = [(split.namespace, split.name, name) for name in candidate.features if name in known]
    if not sources:
        return {}
    return {"columnLineage": facets.column_lineage({SCORE: sources}, "TRANSFORMATION")}


def _facet(origin: dict[str, list[Dataset]], subtype: str) -> dict[str, Facet]:
    fields: Sources = {
        name: [(each.namespace, each.name, name) for each in sources]
        for name, sources in origin.items()
    }
    return {"columnLineage": facets.column_lineage(fields, subtype)} if fields else {}
