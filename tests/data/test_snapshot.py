"""A snapshot is the accepted rows and nothing else, bound to what it came from."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data import profile, snapshot, validate
from pipelines.data.files import profile as profile_path
from pipelines.data.files import valid_part
from pipelines.errors import DataRefused, IntegrityBroken, NotThere
from pipelines.records import Snapshot
from pipelines.typed import read_json
from tests.data.conftest import NAMES, Checkout, person

ROWS = [person(number) for number in range(20)]


def test_a_snapshot_holds_the_accepted_rows(checkout: Checkout) -> None:
    """Refused rows are left out, the others keep their numbers, order and columns."""
    rows = [*ROWS]
    rows[5] = person(5, count="x")
    checkout.csv(rows)
    landed = checkout.ingest()
    validate.run(checkout.context)
    record = snapshot.run(checkout.context)
    table = pq.read_table(checkout.layout.snapshot_rows)
    assert [row for row in range(1, 21) if row != 6] == table["_row"].to_pylist()
    assert ["_row", *NAMES] == table.column_names
    assert (19, 1, landed.id, NAMES) == (
        record.rows,
        record.refused,
        record.landed_id,
        record.columns,
    )
    assert sha256_file(checkout.layout.snapshot_rows) == record.rows_sha256
    assert record == read_json(checkout.layout.snapshot_record, Snapshot)


def test_the_contract_goes_with_the_snapshot(checkout: Checkout) -> None:
    """What stands beside the rows is the contract that they were held to."""
    checkout.csv(ROWS)
    checkout.validate()
    record = snapshot.run(checkout.context)
    kept = read_json(checkout.layout.snapshot_contract, Contract)
    assert checkout.contract == kept
    assert record.contract_sha256 == kept.sha256


def test_a_profile_goes_with_the_snapshot(checkout: Checkout) -> None:
    """The profile beside the rows counts them."""
    checkout.csv(ROWS)
    checkout.validate()
    snapshot.run(checkout.context)
    assert 20 == profile.read(profile_path(checkout.layout)).rows


def test_a_refused_landing_makes_no_snapshot(checkout: Checkout) -> None:
    """The validation's refusal is the snapshot's too."""
    checkout.settings(max_refused_share=0.0)
    checkout.csv([*ROWS, person(30, count="x")])
    checkout.validate()
    with pytest.raises(DataRefused):
        snapshot.run(checkout.context)
    assert not checkout.layout.snapshot.exists()


def test_no_validation_makes_no_snapshot(checkout: Checkout) -> None:
    """A landing that was never tested makes no snapshot."""
    checkout.csv(ROWS)
    checkout.ingest()
    with pytest.raises(NotThere):
        snapshot.run(checkout.context)


@pytest.mark.parametrize("what", ["landing", "contract", "number of rows"])
def test_a_validation_of_something_else_makes_no_snapshot(checkout: Checkout, what: str) -> None:
    """A validation counts for the landing, the contract and the rows that it was made of."""
    checkout.csv(ROWS)
    checkout.validate()
    if what == "landing":
        checkout.csv(ROWS[:10])
        checkout.ingest()
    elif what == "contract":
        text = checkout.layout.contract.read_text()
        checkout.layout.contract.write_text(text.replace("maximum: 1000", "maximum: 2000"))
    else:
        valid_part(checkout.layout, 0).unlink()
    with pytest.raises(IntegrityBroken, match=f"of another {what}"):
        snapshot.run(checkout.context)
