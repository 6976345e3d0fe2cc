"""What `validate` found, as counts: no value of any row leaves the report."""

from __future__ import annotations

import msgspec

from pipelines import flow
from pipelines.errors import ClewError
from pipelines.layout import Layout
from pipelines.lineage import facets
from pipelines.lineage.facets import Facet
from pipelines.typed import read_json

TESTED = flow.path("landed")
RESULT = "validation.json"


class _Rule(msgspec.Struct, frozen=True):
    rule: str
    column: str
    count: int


class _Column(msgspec.Struct, frozen=True):
    name: str
    missing_share: float


class _Found(msgspec.Struct, frozen=True):
    """The part of the report that is counts."""

    rows: int
    refused: int
    broken: tuple[_Rule, ...]
    table: tuple[_Rule, ...]
    columns: tuple[_Column, ...]
    blocked: tuple[str, ...]


def of(step: str, layout: Layout) -> dict[str, Facet]:
    """Return the quality facets of what `validate` read; nothing for another step or no report."""
    if step != "validate":
        return {}
    try:
        found = read_json(layout.validation_report / RESULT, _Found)
    except ClewError:
        return {}
    nulls = {each.name: round(each.missing_share * found.rows) for each in found.columns}
    broken = [(each.rule, each.column, each.count) for each in (*found.table, *found.broken)]
    return {
        "dataQualityMetrics": facets.quality_metrics(found.rows, nulls),
        "dataQualityAssertions": facets.quality_assertions(
            broken, f"{found.refused} of {found.rows} rows refused", passed=not found.blocked
        ),
    }
