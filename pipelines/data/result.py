"""What a validation found: the record that is stored, and what is counted while chunks go by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import params as parameters
from pipelines.contract import Column, Contract
from pipelines.data import files, schema
from pipelines.records import Landed, Record

ROWS_KEPT = 10


class Broken(Record, frozen=True):
    """One rule that rows broke: its column, how many rows, the first row numbers."""

    rule: str
    column: str
    count: int
    rows: tuple[int, ...]


class ColumnResult(Record, frozen=True):
    """One column: share of all rows without a value, range of the accepted numbers."""

    name: str
    missing_share: float
    minimum: float | None = None
    maximum: float | None = None


class Validation(Record, frozen=True):
    """The result of `validate`. `blocked` says why what comes after must not run; empty: it may."""

    landed_id: str
    contract_sha256: str
    rows: int
    accepted: int
    refused: int
    max_refused_share: float
    broken: tuple[Broken, ...]
    table: tuple[Broken, ...]
    columns: tuple[ColumnResult, ...]
    blocked: tuple[str, ...]


@dataclass
class Tally:
    """What is counted while the chunks go by."""

    rows: int = 0
    accepted: int = 0
    parts: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, tested: schema.Tested, accepted: pa.Table) -> None:
        """Count one chunk."""
        self.rows += tested.typed.num_rows
        self.accepted += accepted.num_rows
        for name, count in tested.missing.items():
            self.missing[name] = self.missing.get(name, 0) + count
        numbers = tested.typed[files.ROW].to_numpy()
        for (rule, column), group in tested.failures.groupby(["rule", "column"], sort=True):
            key = (str(rule), str(column))
            self.counts[key] = self.counts.get(key, 0) + len(group)
            kept = self.first.setdefault(key, [])
            rows = np.sort(numbers[group["position"].to_numpy()])[: ROWS_KEPT - len(kept)]
            kept.extend(int(row) for row in rows)
        for name in accepted.column_names[1:]:
            self._range(name, accepted[name])

    def _range(self, name: str, values: pa.ChunkedArray) -> None:
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            return
        found = pc.min_max(values).as_py()
        if found["min"] is not None:
            least, most = float(found["min"]), float(found["max"])
            low, high = self.ranges.get(name, (least, most))
            self.ranges[name] = (min(low, least), max(high, most))

    def broken(self) -> tuple[Broken, ...]:
        """Return the rules that rows broke, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            Broken(rule=key[0], column=key[1], count=count, rows=tuple(self.first[key]))
            for key, count in ordered
        )


def reasons_to_block(
    tally: Tally, table: tuple[Broken, ...], max_refused_share: float
) -> tuple[str, ...]:
    """Return why a result blocks: too many refused rows, a broken table rule, no row left."""
    found = []
    refused = tally.rows - tally.accepted
    if tally.accepted == 0:
        found.append("no row is left")
    if refused > max_refused_share * tally.rows:
        found.append("more rows are refused than data.max_refused_share allows")
    found += [f"the table rule {each.rule} is broken" for each in table]
    return tuple(dict.fromkeys(found))


def summed_up(
    tally: Tally, contract: Contract, landed: Landed, data: parameters.Data
) -> Validation:
    """Return the stored result of what was counted."""
    found = schema.table_failures(contract, tally.rows, tally.accepted, tally.missing)
    table = tuple(
        Broken(rule=each.rule, column=each.column, count=each.count, rows=()) for each in found
    )
    return Validation(
        landed_id=landed.id,
        contract_sha256=contract.sha256,
        rows=tally.rows,
        accepted=tally.accepted,
        refused=tally.rows - tally.accepted,
        max_refused_share=data.max_refused_share,
        broken=tally.broken(),
        table=table,
        columns=tuple(_column(each, tally) for each in contract.columns),
        blocked=reasons_to_block(tally, table, data.max_refused_share),
    )


def _column(column: Column, tally: Tally) -> ColumnResult:
    low, high = tally.ranges.get(column.name, (None, None))
    if column.role == "subject":
        low = high = None  # the ends of a range of numbers would name two people
    share = tally.missing.get(column.name, 0) / tally.rows if tally.rows else 0.0
    return ColumnResult(name=column.name, missing_share=share, minimum=low, maximum=high)
