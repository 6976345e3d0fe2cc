"""Decide about a file of applications: every one recorded, and none decided twice.

Each row's ledger entry has an id that follows from the batch's name and the row's number, so a
run that was killed goes on where the ledger ends: what is recorded is read back, not decided anew.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.canonical import sha256_file
from pipelines.contract import Column, Contract
from pipelines.data import read, rules
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import Standing
from pipelines.decisions.record import Call, Origin, Recorded, Recorder
from pipelines.decisions.records import Stop
from pipelines.errors import BadRequest, Erased, did_you_mean

ROWS: Final = 4000  # several groups of the ledger, each decided while the one before is written
ERASED: Final = "erased"
ASKED: Final = ("subject", "event_time", "feature", "protected")
BARE: Final = ("integer", "number", "boolean")
JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
NUMBER: Final = re.compile(rules.NUMBER)
NOT_A_ROW: Final = b"null"  # more or fewer fields than the header: refused as no object
SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("subject", pa.string()),
        ("decision_id", pa.string()),
        ("decision", pa.string()),
        ("because", pa.string()),
        ("margin", pa.string()),
        ("log_odds", pa.float64()),
        ("reasons", pa.list_(pa.string())),
        ("problems", pa.list_(pa.string())),
        ("index", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Batch:
    """One file to decide about, by which standing, under which name and call."""

    source: Path
    name: str
    standing: Standing
    origin: Origin
    call: Call
    holdout: Holdout
    stopped: Callable[[], Stop | None]


def batch_name(source: Path) -> str:
    """Return the name of a file's batch: its digest, so that the same file is decided once."""
    return sha256_file(source)


def columns(contract: Contract, names: Sequence[str]) -> list[Column]:
    """Return the columns to read of a file with these names.

    What the contract knows and an application does not hold, such as the target, is left out.
    Raises BadRequest for a column that the contract does not know, or one that stands twice.
    """
    known = {column.name: column for column in contract.columns}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise BadRequest("a column that the contract does not know", observed=name, hint=hint)
        if list(names).count(name) > 1:
            raise BadRequest("a column stands twice", observed=name)
    return [known[name] for name in names if known[name].role in ASKED]


class Members(dict[str | None, str]):
    """A column's texts as members of a JSON object, each made once; of a missing one, nothing."""

    def __init__(self, column: Column) -> None:
        super().__init__({None: ""})
        self._column, self._name = column, json.dumps(column.name)

    def __missing__(self, text: str) -> str:
        found = self[text] = f"{self._name}:{literal(text, self._column)}"
        return found


def members_of(table: pa.Table, asked: Sequence[Column]) -> list[Iterator[str]]:
    """Return the members of a table of texts, column by column: `application` takes a row's."""
    return [
        map(Members(column).__getitem__, table.column(column.name).to_pylist()) for column in asked
    ]


def application(members: Iterable[str]) -> bytes:
    """Return the JSON object of these members."""
    return f"{{{','.join(filter(None, members))}}}".encode()


def literal(text: str, column: Column) -> str:
    """Return a column's text as JSON."""
    if column.kind not in BARE:
        return json.dumps(text)
    if JSON_NUMBER.fullmatch(text) or (column.kind == "boolean" and text in {"true", "false"}):
        return text
    if NUMBER.fullmatch(text):
        bare = text.lstrip("+")
        return bare if JSON_NUMBER.fullmatch(bare) else repr(float(bare))
    return json.dumps(text)


def rows(source: Path, contract: Contract) -> Iterator[list[tuple[int, bytes]]]:
    """Yield blocks of (row number from 1, application) of a CSV, Parquet or JSON Lines file.

    Numbers keep their digits. A value of a block is written as JSON once, however often it stands.
    """
    asked = columns(contract, read.names(source, "utf-8"))
    for table in read.chunks([source], [column.name for column in asked], "utf-8", ROWS):
        whole = table.column("_whole").to_pylist()
        numbers = table.column("_row").to_pylist()
        yield [
            (number, application(each) if complete else NOT_A_ROW)
            for number, complete, *each in zip(
                numbers, whole, *members_of(table, asked), strict=True
            )
        ]


def block(
    recorder: Recorder, batch: Batch, sent: Sequence[tuple[int, bytes]]
) -> list[Recorded | None]:
    """Decide and record one block; read back what an earlier run recorded of it.

    None stands for a record that was erased since.
    """
    ids = [recorder.number(f"batch {batch.name}", "", number) for number, _ in sent]
    known = recorder.ledger.store.seq_of(ids)
    fresh = (
        (data, decide(_now(batch), data, number.hex(), batch.holdout), number)
        for (_, data), number in zip(sent, ids, strict=True)
        if number not in known
    )
    made = {found.id: found for found in recorder.record_many(fresh, batch.origin, batch.call)}
    return [
        made.get(number.hex()) or _recorded_before(recorder, number, data)
        for (_, data), number in zip(sent, ids, strict=True)
    ]


def _recorded_before(recorder: Recorder, number: bytes, data: bytes) -> Recorded | None:
    try:
        return recorder.repeated(number, data)
    except Erased:
        return None


def _now(batch: Batch) -> Standing:
    """Return who decides now: the stop switch counts for every single row."""
    return Standing(batch.standing.champion, batch.standing.challenger, batch.stopped())


def line(number: int, found: Recorded | None) -> dict[str, Any]:
    """Return one row of the output."""
    if found is None:
        return dict.fromkeys(SCHEMA.names) | {"row": number, "decision": ERASED}
    decided = found.made.decided
    return {
        "row": number,
        "subject": decided.subject,
        "decision_id": found.id,
        "decision": decided.outcome,
        "because": decided.because,
        "margin": decided.margin,
        "log_odds": None if decided.margin is None else float.fromhex(decided.margin),
        "reasons": [each.words for each in decided.reasons],
        "problems": [
            f"{getattr(each, 'field', '') or getattr(each, 'column', '')}: {each.rule}"
            for each in decided.problems
        ],
        "index": found.index,
    }


class Output(Protocol):
    """Where the decisions go."""

    def write(self, lines: Sequence[dict[str, Any]]) -> None:
        """Add lines."""

    def close(self) -> None:
        """Finish the file."""


class Jsonl:
    """Decisions as JSON Lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, lines: Sequence[dict[str, Any]]) -> None:
        self._file.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)

    def close(self) -> None:
        self._file.close()


class Parquet:
    """Decisions as Parquet."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def write(self, lines: Sequence[dict[str, Any]]) -> None:
        self._file.write_table(pa.Table.from_pylist(list(lines), schema=SCHEMA))

    def close(self) -> None:
        self._file.close()


OUTPUTS: Final[dict[str, Callable[[Path], Output]]] = {".jsonl": Jsonl, ".parquet": Parquet}


def run(recorder: Recorder, batch: Batch, out: Path, told: Callable[[int], None]) -> dict[str, int]:
    """Decide about every row of a file; return how many had which outcome.

    `out` appears whole, under its name, once everything is recorded. `told` hears how many rows
    are done. Raises Unavailable: run it again, and it goes on.
    """
    if out.suffix not in OUTPUTS:
        raise BadRequest("an output of an unknown format", expected=", ".join(sorted(OUTPUTS)))
    counts: Counter[str] = Counter()
    part = out.with_name(f"{out.name}.part")
    output = OUTPUTS[out.suffix](part)
    try:
        for sent in rows(batch.source, batch.standing.champion.contract):
            found = block(recorder, batch, sent)
            output.write(
                [line(number, each) for (number, _), each in zip(sent, found, strict=True)]
            )
            counts.update(each.made.decided.outcome if each else ERASED for each in found)
            told(counts.total())
    finally:
        output.close()
    part.replace(out)
    return dict(sorted(counts.items()))
