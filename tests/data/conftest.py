"""A small contract of every kind of column, and a checkout to land data in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipelines import contract, wiring
from pipelines.data import ingest, validate
from pipelines.layout import Layout, State
from pipelines.params import Source
from pipelines.ports import Context
from pipelines.records import Landed

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: small
name: small
version: 1.0.0
status: active
schema:
  - name: people
    logicalType: object
    quality:
      - {type: library, metric: rowCount, mustBeGreaterOrEqualTo: 2}
    properties:
      - name: person
        logicalType: string
        required: true
        primaryKey: true
        customProperties: [{property: role, value: subject}]
      - name: seen
        logicalType: timestamp
        customProperties: [{property: role, value: event_time}]
      - name: born
        logicalType: date
        customProperties: [{property: role, value: ignored}]
      - name: amount
        logicalType: number
        logicalTypeOptions: {minimum: 0, maximum: 1000}
        quality:
          - {type: library, metric: missingValues, arguments: {missingValues: [9999.5, "n/a"]},
             mustBeLessOrEqualTo: 60, unit: percent}
        customProperties: [{property: role, value: feature}]
      - name: count
        logicalType: integer
        required: true
        customProperties: [{property: role, value: feature}]
      - name: colour
        logicalType: string
        quality:
          - {type: library, metric: missingValues, arguments: {missingValues: ["?"]}}
          - {type: library, metric: invalidValues, arguments: {validValues: [red, blue]},
             mustBe: 0}
        customProperties: [{property: role, value: feature}]
      - name: member
        logicalType: boolean
        customProperties: [{property: role, value: feature}]
      - name: years
        logicalType: integer
        customProperties:
          - {property: role, value: protected}
          - {property: protected,
             value: {attribute: age, bands: [{name: young, below: 40}, {name: old}]}}
      - name: good
        logicalType: integer
        required: true
        quality:
          - {type: library, metric: invalidValues, arguments: {validValues: [0, 1]}, mustBe: 0}
        customProperties: [{property: role, value: target}, {property: favourable, value: 1}]
"""
PARAMS = """
model_name: small
policy: none
candidate: plain
data:
  source: {{kind: files, location: landing, pattern: "*", settle_seconds: 0}}
  encoding: {encoding}
  chunk_rows: {chunk_rows}
  max_refused_share: {max_refused_share}
split: {{method: {method}, test_share: {test_share}, seed: 3}}
candidates:
  plain:
    estimator: logistic_regression
    hyperparameters: {{}}
    approval_rate: 0.5
    seed: 7
evaluate: {{bootstrap_samples: 10, confidence: 0.95, seed: 1, min_group_size: 5}}
schedules: {{prepare_data: "0 2 * * *", train_model: "0 4 * * 1"}}
"""
SETTINGS: dict[str, object] = {
    "encoding": "utf-8",
    "chunk_rows": 4,
    "max_refused_share": 0.5,
    "method": "random",
    "test_share": 0.4,
}
NAMES = ("person", "seen", "born", "amount", "count", "colour", "member", "years", "good")
Cells = Sequence[object]


def person(number: int, **changes: object) -> list[object]:
    """Return a good row, with the cells of `changes`."""
    cells: dict[str, object] = {
        "person": f"P{number:04d}",
        "seen": f"2024-01-{number % 28 + 1:02d}T10:00:00Z",
        "born": "1980-02-29",
        "amount": number + 0.1,
        "count": number,
        "colour": ("red", "blue")[number % 2],
        "member": ("true", "0")[number % 2],
        "years": 20 + number,
        "good": number % 2,
    }
    return list((cells | changes).values())


class Checkout:
    """A folder with a contract, parameters and a landing folder."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root / "checkout")
        self.context: Context = wiring.context(self.layout, State(root / "var"))
        self.landing = root / "var" / "landing"
        self.landing.mkdir(parents=True)
        self.layout.root.mkdir()
        self.layout.contract.write_text(CONTRACT, encoding="utf-8")
        self.settings()

    def settings(self, **changes: object) -> None:
        """Write params.yaml."""
        self.layout.params.write_text(PARAMS.format(**(SETTINGS | changes)), encoding="utf-8")

    @property
    def contract(self) -> contract.Contract:
        """The contract."""
        return contract.read(self.layout.contract)

    def csv(
        self, rows: Sequence[Cells], names: Cells = NAMES, name: str = "a.csv", **how: str
    ) -> Path:
        """Land a CSV file."""
        path = self.landing / name
        with path.open("w", newline="", encoding=how.get("encoding", "utf-8")) as file:
            csv.writer(file, lineterminator="\n").writerows([names, *rows])
        return path

    def jsonl(self, rows: Sequence[Cells], name: str = "a.jsonl") -> Path:
        """Land a JSON Lines file."""
        path = self.landing / name
        lines = [json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def ingest(self, source: Source | None = None, location: str | None = None) -> Landed:
        """Bring in what landed."""
        return ingest.run(self.context, source=source, location=location)

    def validate(self) -> validate.Validation:
        """Bring in what landed, and test it."""
        self.ingest()
        return validate.run(self.context)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Make a checkout of this test's own."""
    return Checkout(tmp_path)


@pytest.fixture
def people() -> Callable[..., list[list[object]]]:
    """Give so many good rows."""
    return lambda count: [person(number) for number in range(count)]
