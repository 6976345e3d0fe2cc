"""Data lands from an S3 prefix and from a query as it does from a folder."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.data import validate
from pipelines.errors import BadRequest, DataRefused, NotThere, Unavailable
from pipelines.params import Source
from tests.data.conftest import NAMES, Checkout, person

ROWS = [person(number) for number in range(6)]
PREFIX = "s3://landing/mortgages"


@pytest.fixture(scope="module")
def s3() -> Iterator[object]:
    """Run an S3 server on a free loopback port; give a client of it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="landing")
        yield client
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


def from_s3(location: str = PREFIX, pattern: str = "*.csv") -> Source:
    """Return a source that reads a prefix."""
    return Source(kind="s3", location=location, pattern=pattern)


def test_objects_of_a_prefix_are_kept_byte_for_byte(checkout: Checkout, s3: object) -> None:
    """Matching objects directly under the prefix land unchanged; others are left alone."""
    path = checkout.csv(ROWS)
    for key in ("mortgages/a.csv", "mortgages/notes.txt", "mortgages/old/b.csv", "c.csv"):
        s3.put_object(Bucket="landing", Key=key, Body=path.read_bytes())  # type: ignore[attr-defined]
    landed = checkout.ingest(from_s3())
    assert ("s3", ("a.csv",)) == (landed.kind, tuple(each.name for each in landed.files))
    assert path.read_bytes() == (checkout.layout.landed / "a.csv").read_bytes()
    assert () == validate.run(checkout.context).blocked


@pytest.mark.parametrize("location", ["s3://landing/nothing", "s3://no-such-bucket/x"])
def test_an_empty_prefix_or_bucket(checkout: Checkout, s3: object, location: str) -> None:
    """An S3 store that answers and holds nothing there says that nothing is there."""
    with pytest.raises(NotThere):
        checkout.ingest(from_s3(location))


def test_an_unfinished_object(checkout: Checkout, s3: object) -> None:
    """An object named as unfinished holds the landing up."""
    for key in ("slow/a.csv", "slow/b.csv.part"):
        s3.put_object(Bucket="landing", Key=key, Body=b"x")  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match=r"b\.csv\.part"):
        checkout.ingest(from_s3("s3://landing/slow"))


def test_an_object_that_is_replaced_while_it_is_copied(
    checkout: Checkout, s3: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that its writer replaces in between is not taken."""
    from s3fs import S3FileSystem

    copy = S3FileSystem.get_file

    def copy_then_replace(store: object, *words: object, **more: object) -> object:
        done = copy(store, *words, **more)
        s3.put_object(Bucket="landing", Key="busy/a.csv", Body=b"y")  # type: ignore[attr-defined]
        return done

    s3.put_object(Bucket="landing", Key="busy/a.csv", Body=b"x")  # type: ignore[attr-defined]
    monkeypatch.setattr(S3FileSystem, "get_file", copy_then_replace)
    with pytest.raises(Unavailable, match=r"still being written \(a\.csv\)"):
        checkout.ingest(from_s3("s3://landing/busy"))


def test_a_store_that_does_not_answer(
    checkout: Checkout, s3: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreachable store is unavailable, never an empty one, and no secret is told."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable) as caught:
        checkout.ingest(from_s3())
    assert "secret" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")


def test_a_location_that_is_no_prefix(checkout: Checkout) -> None:
    """A location that is not s3://… is a bad request."""
    with pytest.raises(BadRequest):
        checkout.ingest(from_s3("landing/mortgages"))


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a SQLite database with a table of people, named by an environment variable."""
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE people ({', '.join(NAMES)})")
        marks = ", ".join("?" * len(NAMES))
        connection.executemany(f"INSERT INTO people VALUES ({marks})", ROWS)  # noqa: S608
    monkeypatch.setenv("PEOPLE_URL", f"sqlite:///{path}")
    return path


def ask(query: str | None = "SELECT * FROM people ORDER BY person") -> Source:
    """Return a source that asks the database."""
    return Source(kind="sql", location="PEOPLE_URL", query=query)


def test_a_query_lands_what_it_answers(checkout: Checkout, database: Path) -> None:
    """A query's rows land in one file, chunk by chunk, and are tested like any other."""
    landed = checkout.ingest(ask())
    assert ("query.parquet",) == tuple(each.name for each in landed.files)
    result = validate.run(checkout.context)
    assert (6, 6, ()) == (result.rows, result.accepted, result.blocked)
    assert landed == checkout.ingest(ask())


def test_a_query_keeps_every_bit_of_a_float(checkout: Checkout, database: Path) -> None:
    """A float out of the database is the same float among the accepted rows."""
    import pyarrow.parquet as pq

    from pipelines.data import files

    checkout.ingest(ask())
    validate.run(checkout.context)
    parts = [pq.read_table(part) for part in files.valid_parts(checkout.layout)]
    found = [value for part in parts for value in part["amount"].to_pylist()]
    assert [struct.pack("<d", number + 0.1) for number in range(6)] == [
        struct.pack("<d", value) for value in found
    ]


def test_a_query_without_rows(checkout: Checkout, database: Path) -> None:
    """A query that answers no row is refused as a header alone is."""
    with pytest.raises(DataRefused, match="holds no row"):
        checkout.ingest(ask("SELECT * FROM people WHERE 1 = 0"))


def test_a_query_of_the_wrong_columns(checkout: Checkout, database: Path) -> None:
    """A query is held to the columns of the contract."""
    with pytest.raises(DataRefused, match="good: missing"):
        checkout.ingest(ask("SELECT person FROM people"))


def test_a_query_with_a_column_twice(checkout: Checkout, database: Path) -> None:
    """A join that yields a name twice is refused."""
    with pytest.raises(DataRefused, match="person: stands twice"):
        checkout.ingest(ask("SELECT *, person FROM people"))


def test_a_database_that_does_not_answer(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A database that cannot be opened is unavailable, and its URL is not told."""
    monkeypatch.setenv("PEOPLE_URL", f"sqlite:///{tmp_path}/none/SECRETNAME.db")
    with pytest.raises(Unavailable) as caught:
        checkout.ingest(ask())
    assert "SECRETNAME" not in str(caught.value)


def test_a_query_that_fails(checkout: Checkout, database: Path) -> None:
    """What the database says of a query it cannot answer may hold data, and is not told."""
    with pytest.raises(Unavailable) as caught:
        checkout.ingest(ask("SELECT * FROM nowhere WHERE person = 'MARKERVALUE'"))
    assert "MARKERVALUE" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "nosuchdialect://x"])
def test_a_url_that_is_none(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A malformed URL is a bad request, and is not told."""
    monkeypatch.setenv("PEOPLE_URL", url)
    with pytest.raises(BadRequest) as caught:
        checkout.ingest(ask())
    assert url not in str(caught.value)


def test_no_url_and_no_query(checkout: Checkout, database: Path) -> None:
    """A source of kind sql needs a query, and its variable must be set."""
    with pytest.raises(BadRequest, match="no query"):
        checkout.ingest(ask(None))
    with pytest.raises(BadRequest, match="OTHER_URL"):
        checkout.ingest(Source(kind="sql", location="OTHER_URL", query="SELECT 1"))
