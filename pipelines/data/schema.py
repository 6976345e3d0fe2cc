"""The contract as tests of data: rules on each row (pandera) and rules on the whole table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.contract import Column, Contract, Scalar
from pipelines.data import cast
from pipelines.data.files import ROW
from pipelines.data.rules import required
from pipelines.errors import ClewError, Failure

RULES = ("fields", "type", "required", "range", "allowed", "unique")
DIGEST = np.dtype("S16")
Duplicates = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Tested:
    """One chunk after the test.

    `typed` holds all its rows, `failures` one line (position, rule, column) for each rule that a
    row broke, `missing` the number of cells without a value by column.
    """

    typed: pa.Table
    failures: pd.DataFrame
    missing: Mapping[str, int]


def test(raw: pa.Table, contract: Contract, duplicates: Duplicates) -> Tested:
    """Cast a chunk of text and test each row. `duplicates` are digests from `digests`."""
    typed, bad = typed_rows(raw, contract)
    failures = [_positions(~raw["_whole"].to_numpy(zero_copy_only=False), "fields", "")]
    failures += [_positions(bad[name], "type", name) for name in bad]
    failures.append(_broken(cast.frame(typed), contract, bad, duplicates))
    missing = {
        each.name: int(typed[each.name].null_count - bad[each.name].sum())
        for each in contract.columns
    }
    return Tested(typed, pd.concat(failures, ignore_index=True), missing)


def typed_rows(raw: pa.Table, contract: Contract) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """Return a chunk's typed rows, and for each column which cells did not parse."""
    bad: dict[str, np.ndarray] = {}
    values = [raw[ROW].combine_chunks()]
    for each in contract.columns:
        done = cast.cast(raw[each.name].combine_chunks(), each)
        values.append(done.values)
        bad[each.name] = done.bad.to_numpy(zero_copy_only=False)
    return pa.Table.from_arrays(values, schema=cast.schema(contract)), bad


def digests(values: pa.Array) -> np.ndarray:
    """Return a 128-bit digest (16 bytes) of each value that is there, to find duplicates by."""
    text = values.drop_null().cast(pa.string()).to_numpy(zero_copy_only=False)
    halves = [
        pd.util.hash_array(text, hash_key=key, categorize=False)
        for key in ("clew-digest-left", "clew-digest-rite")
    ]
    return np.stack(halves, axis=1).astype("<u8").view(DIGEST).reshape(-1)


def table_failures(
    contract: Contract, rows: int, accepted: int, missing: Mapping[str, int]
) -> list[Failure]:
    """Return the rules on the whole table that do not hold: missing shares and least rows."""
    found = [
        Failure("max_missing_share", each.name, missing[each.name])
        for each in contract.columns
        if each.max_missing_share is not None and missing[each.name] > each.max_missing_share * rows
    ]
    if accepted < contract.min_rows:
        found.append(Failure("min_rows", "", accepted))
    return found


def _broken(
    frame: pd.DataFrame,
    contract: Contract,
    bad: Mapping[str, np.ndarray],
    duplicates: Duplicates,
) -> pd.DataFrame:
    from pandera.errors import SchemaErrors

    try:
        with warnings.catch_warnings():  # pandera joins its own findings in a way pandas will drop
            warnings.simplefilter("ignore", FutureWarning)
            _pandera(contract, duplicates).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
    else:
        return _positions(np.zeros(0, bool), "", "")
    if cases["index"].isna().any():
        raise ClewError("a test of the data did not run", where=str(cases["check"].iloc[0]))
    found = pd.DataFrame(
        {
            "position": cases["index"].astype("int64"),
            "rule": cases["check"].replace({"not_nullable": "required"}).astype(str),
            "column": cases["column"].astype(str),
        }
    )
    unparsed = [
        rule == "required" and bool(bad[column][position])
        for position, rule, column in found.itertuples(index=False)
    ]
    return found[~np.array(unparsed, dtype=bool)]


def _pandera(contract: Contract, duplicates: Duplicates) -> Any:  # noqa: ANN401 - a pandera schema
    import pandera.pandas as pandera

    columns = {
        each.name: pandera.Column(
            checks=_checks(each, duplicates.get(each.name)), nullable=not required(each)
        )
        for each in contract.columns
    }
    return pandera.DataFrameSchema(columns)


def _checks(column: Column, duplicated: np.ndarray | None) -> list[Any]:
    from pandera.pandas import Check

    found: list[Any] = []
    low, high = column.minimum, column.maximum
    if low is not None or high is not None:
        found.append(Check(lambda values: _inside(values, low, high), name="range"))
    if column.allowed is not None:
        allowed = _allowed(column, column.allowed)
        found.append(Check(lambda values: values.isin(allowed), name="allowed"))
    if duplicated is not None and len(duplicated):
        found.append(Check(lambda values: ~_among(values, duplicated), name="unique"))
    return found


def _inside(values: pd.Series, low: float | None, high: float | None) -> pd.Series:
    above = values >= (-np.inf if low is None else low)
    return above & (values <= (np.inf if high is None else high))


def _allowed(column: Column, values: tuple[Scalar, ...]) -> list[object]:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    parsed = cast.PARSERS[column.kind](pa.array(texts, pa.string()))
    return list(cast.frame(pa.table({"allowed": parsed.drop_null()}))["allowed"])


def _among(values: pd.Series, duplicated: np.ndarray) -> pd.Series:
    there = values.notna()
    found = np.zeros(len(values), dtype=bool)
    found[there.to_numpy()] = np.isin(digests(pa.Array.from_pandas(values[there])), duplicated)
    return pd.Series(found, index=values.index)


def _positions(mask: np.ndarray, rule: str, column: str) -> pd.DataFrame:
    positions = np.flatnonzero(mask)
    return pd.DataFrame({"position": positions.astype("int64"), "rule": rule, "column": column})
