"""A query on a SQL database, streamed into one Parquet file of text, exactly as it answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import BadRequest, DataRefused, Unavailable


def fetch(
    variable: str, query: str | None, into: Path, chunk_rows: int, environ: Mapping[str, str]
) -> None:
    """Run `query` on the database whose URL is in the variable `variable` of `environ`.

    Rows come in the order the query gives them: say ORDER BY to get the same file twice.
    Messages carry neither the URL, which may hold a password, nor the database's own words,
    which may hold data.
    """
    import sqlalchemy
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    url = environ.get(variable)
    if not url or not query:
        raise BadRequest(
            "no database to ask" if query else "no query to ask",
            where="params.yaml: data.source",
            expected=f"a database URL in {variable}" if query else "data.source.query",
        )
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            streamed = connection.execution_options(stream_results=True, yield_per=chunk_rows)
            answer = streamed.execute(sqlalchemy.text(query))
            _write(list(answer.keys()), answer, into)
    except DBAPIError as error:
        raise Unavailable(
            "the database did not answer", where=variable, observed=type(error).__name__
        ) from None
    except (SQLAlchemyError, ImportError) as error:
        raise BadRequest(
            "the database cannot be asked", where=variable, observed=type(error).__name__
        ) from None


def _write(names: list[str], answer: object, into: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(into, schema, compression="zstd") as writer:
        for block in answer.partitions():  # type: ignore[attr-defined]
            columns = list(zip(*block, strict=True))
            writer.write_table(pa.Table.from_arrays(_texts(names, columns), schema=schema))


def _texts(names: Sequence[str], columns: Sequence[Sequence[object]]) -> list[pa.Array]:
    return [
        pa.array([as_text(value, name) for value in column], pa.string())
        for name, column in zip(names, columns, strict=True)
    ]


def as_text(value: object, name: str) -> str | None:
    """Return a database's value as text that parses back to it. Raises DataRefused for others."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, float):
        return repr(value) if value == value else None  # noqa: PLR0124 - NaN
    raise DataRefused("a query's column without a text form", where=name)
