"""Landed Parquet as chunks of text that parses back to the very same values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.data.files import PLACE
from pipelines.errors import DataRefused


def names(path: Path) -> list[str]:
    """Return the column names, duplicates kept. Raises DataRefused when it is no Parquet file."""
    return list(_opened(path).schema_arrow.names)


def in_blocks(path: Path, texts: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file to be read block by block, the columns `texts` as dictionaries.

    No more than a row group is held then: Arrow's own default holds the whole file, compressed.
    """
    return pq.ParquetFile(path, read_dictionary=list(texts), pre_buffer=False)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return in_blocks(path)
    except (pa.ArrowException, OSError):
        raise DataRefused("a file is not readable as Parquet", where=path.name) from None


def chunks(path: Path, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
    """Yield tables of at most `size` rows: their place, then `columns` as text."""
    file = _opened(path)
    try:
        for batch in file.iter_batches(batch_size=size, columns=list(columns)):
            count = batch.num_rows
            place = [
                pa.array([path.name] * count, pa.string()),
                pa.nulls(count, pa.int64()),
                pa.array([True] * count, pa.bool_()),
                pa.nulls(count, pa.string()),
            ]
            texts = [_column_text(batch.column(name), path.name, name) for name in columns]
            yield pa.table([*place, *texts], names=[*PLACE, *columns])
    except (pa.ArrowException, OSError):
        raise DataRefused("a file is not readable as Parquet", where=path.name) from None


def _column_text(values: pa.Array, file: str, name: str) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float64())  # a float32's own text is another number
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    if pa.types.is_timestamp(values.type):
        values = _microseconds(values)
    try:
        text = values.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise DataRefused(
            "a Parquet column of a type without a text form",
            where=f"{file}: {name}",
            observed=str(values.type),
        ) from None
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _microseconds(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.timestamp("us", values.type.tz))
    except pa.ArrowInvalid:
        return values  # finer than a timestamp here can be: its text will not parse
