"""A sample of a window's decisions as the model reads them, with each person's groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipelines.contract import Contract
from pipelines.data import cast
from pipelines.data.groups import groups
from pipelines.decisions.readback import ReadBack
from pipelines.decisions.typing_json import PARSERS
from pipelines.model.plan import Value
from pipelines.records import Json
from pipelines.release.influence import Sampled
from pipelines.watch.profile import typed_array


def sampled(found: Sequence[ReadBack], contract: Contract, model_sha256: str) -> Sampled:
    """Return those decisions that this model scored."""
    values = [
        each.made.decided.values
        for each in found
        if each.made.decided.values is not None
        and each.made.decided.margin is not None
        and each.made.origin.model_sha256 == model_sha256
    ]
    protected = [column for column in contract.columns if column.protected]
    table = pa.table(
        {
            column.name: typed_array([row.get(column.name) for row in values], column)
            for column in protected
        }
    )
    named = groups(cast.frame(table), contract)
    return Sampled(
        values=[typed_row(row, contract) for row in values],
        groups={name: [str(each) for each in named[name]] for name in contract.attributes},
    )


def typed_row(values: Mapping[str, Json], contract: Contract) -> dict[str, Value]:
    """Return recorded values as they were when they were scored: JSON has dates as texts."""
    dated = {c.name: PARSERS[c.kind] for c in contract.columns if c.kind in {"date", "timestamp"}}
    return {
        name: dated[name](each) if name in dated and each is not None else each
        for name, each in values.items()
    }
