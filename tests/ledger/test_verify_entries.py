"""The verifier's quick way through entries of one shape never accepts what their JSON would not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.ledger import tree, verify
from tests.ledger.places import SqlitePlace, draft
from tests.ledger.test_attacks import redo_tiles, sign_anew

IDS = [bytes([n]) * 16 for n in range(3)]
DIGESTS = [hashlib.sha256(each).hexdigest() for each in IDS]
Verdict = set[tuple[int, int]] | str


def written(n: int, **fields: object) -> bytes:
    """Return an entry in its one form about part `n`, with fields changed or added."""
    own = {"ct": [DIGESTS[n]], "id": IDS[n].hex(), "pc": ["c" * 64], "ts": 1795359507000 + n}
    facts = {"c": "100%b", "m": "a" * 64, "mv": 3, "t": "decision", "v": 1}
    return json.dumps({**facts, **own, **fields}, sort_keys=True, separators=(",", ":")).encode()


def verdict(entries: Sequence[bytes], known: list[verify.Shape]) -> Verdict:
    """Return the places of missing parts, or how the check ended."""
    parts = [(n, 0, digest.encode()) for n, digest in enumerate(DIGESTS)]
    try:
        return verify.check_entries(((0, 1, 2), tuple(entries), tuple(IDS)), parts, known)
    except verify.Finding as found:
        return str(found)
    except verify.BROKEN as error:
        return type(error).__name__


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that gives the verdict by bytes where they suffice, and by JSON alone."""
    shape_of = verify.shape_of

    def verdicts(*entries: bytes) -> tuple[Verdict, Verdict]:
        monkeypatch.setattr(verify, "shape_of", shape_of)
        by_bytes = verdict(entries, [*shape_of(entries[0])])
        monkeypatch.setattr(verify, "shape_of", lambda _: [])
        return by_bytes, verdict(entries, [])

    return verdicts


HONEST = [written(n) for n in range(3)]
CT = b'"ct":["%b"]' % DIGESTS[1].encode()
HOSTILE = {
    "a name twice": HONEST[1].replace(CT, CT + b"," + CT),
    "a name twice, the second another": HONEST[1].replace(CT, CT + b',"ct":["%064d"]' % 0),
    "the name inside an object": HONEST[1].replace(CT, b'"b":{%b},"ct":["%064d"]' % (CT, 0)),
    "the name inside a text": HONEST[1].replace(CT, b'"b":"%b","ct":[]' % CT.replace(b'"', b'\\"')),
    "an escaped letter": HONEST[1].replace(b'"decision"', b'"decisi\\u006fn"'),
    "an escaped name": HONEST[1].replace(b'"ct"', b'"c\\u0074"'),
    "an integer of 5,000 digits": HONEST[1].replace(b'"mv":3', b'"mv":' + b"3" * 5000),
    "a leading zero": HONEST[1].replace(b'"ts":1', b'"ts":0'),
    "a time that is none": HONEST[1].replace(b'"ts":17953', b'"ts":1e953'),
    "NaN": HONEST[1].replace(b'"mv":3', b'"mv":NaN'),
    "infinity": HONEST[1].replace(b'"mv":3', b'"mv":-Infinity'),
    "surplus whitespace": HONEST[1].replace(b'"mv":3', b'"mv": 3'),
    "a newline at the end": HONEST[1] + b"\n",
    "trailing bytes": HONEST[1] + b"}",
    "two entries": HONEST[1] + HONEST[1],
    "another order of names": HONEST[1].replace(CT + b",", b"")[:-1] + b"," + CT + b"}",
    "capital digits": HONEST[1].replace(DIGESTS[1].encode(), DIGESTS[1].upper().encode()),
    "a broken salted digest": HONEST[1].replace(b"c" * 64, b"c" * 63 + b'"'),
    "not UTF-8": HONEST[1].replace(b"decision", b"decisi\xffn"),
    "UTF-16": HONEST[1].decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + HONEST[1],
    "nesting without end": b"[" * 100_000,
    "a list": b"[]",
    "nothing": b"",
    "another's": HONEST[2],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_entry_has_one_verdict(name: str, both: object) -> None:
    """By bytes and by JSON it ends in the same finding, which is never a good one."""
    by_bytes, by_json = both(HONEST[0], HOSTILE[name], HONEST[2])  # type: ignore[operator]

    assert by_json == by_bytes
    assert isinstance(by_json, str)


def test_honest_entries_are_fine_by_either() -> None:
    """Entries of one shape are proven by their bytes alone: none but the first is read as JSON."""
    known = verify.shape_of(HONEST[0])

    assert set() == verdict(HONEST, []) == verdict(HONEST, known)
    assert [] == verify.unlike(
        known[0], [(1, HONEST[1], IDS[1].hex().encode(), DIGESTS[1].encode())]
    )


def test_any_byte_of_an_entry_has_one_verdict(both: object) -> None:
    """Each byte replaced by each that means something in JSON: both ways say the same."""
    for at in range(len(HONEST[1])):
        for byte in b'"\\0a}\xff':
            changed = HONEST[1][:at] + bytes([byte]) + HONEST[1][at + 1 :]
            by_bytes, by_json = both(HONEST[0], changed, HONEST[2])  # type: ignore[operator]
            assert by_json == by_bytes, (at, byte)


@pytest.mark.parametrize(
    "fields",
    [
        {"ct": {"id": "d" * 32}, "id": ""},
        {"b": {"ct": ["d" * 64]}},
        {'a"id': "d" * 32, "id": "e" * 31},
        {"ct": [], "b": '"ct":["' + "d" * 64 + '"]'},
        {"ct": ["d" * 64, "e" * 64]},
        {"ts": 1.5e300},
        {"ts": -1795359507000},
        {"id": 5},
        {"pc": ["c" * 30, "c" * 31]},
    ],
)
def test_a_hostile_shape_proves_nothing(fields: dict[str, object], both: object) -> None:
    """Where the first of a shape hides names in texts or objects, those like it gain nothing."""
    hostile = [written(n, **fields) for n in range(3)]
    by_bytes, by_json = both(*hostile)  # type: ignore[operator]

    assert by_json == by_bytes
    assert [] == verify.shape_of(hostile[0]) or by_json == set()


@pytest.mark.parametrize("nested", [True, False])
def test_an_id_in_another_place_is_none(nested: bool, both: object) -> None:
    """An id that stands in an object or behind an escaped quote does not pass for the entry's."""
    ids = [each.hex() for each in IDS]
    hidden = [{"d": {"id": each}} if nested else {'d"id': each} for each in ids]
    entries = [written(n, id="e" * 31, **each) for n, each in enumerate(hidden)]

    assert 2 * ("entry 0 stands under another id",) == both(*entries)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["a name twice", "NaN", "surplus whitespace", "trailing bytes"])
def test_a_hostile_entry_of_a_signed_log(name: str, tmp_path: Path) -> None:
    """An entry with two readings is tampering even where leaf, tiles and signature were redone."""
    place = SqlitePlace(tmp_path)
    ledger = place.ledger()
    ledger.record_many(draft(f"s{n}") for n in range(300))
    honest = ledger.row(200).entry
    hostile = {
        "a name twice": b'{"c":"",' + honest[1:],
        "NaN": honest.replace(b'"mv":3', b'"mv":NaN'),
        "surplus whitespace": honest.replace(b'"mv":3', b'"mv": 3'),
        "trailing bytes": honest + b" ",
    }[name]
    ledger.close()
    leaf = tree.hash_leaf(hostile)
    place.query("UPDATE entry SET entry = ?, leaf = ? WHERE seq = 200", [hostile, leaf])
    redo_tiles(place)
    sign_anew(place, place.signer)

    assert verify.TAMPERED == verify.verify(place.path, place.policy)[0]
    place.query(
        "UPDATE entry SET entry = ?, leaf = ? WHERE seq = 200", [honest, tree.hash_leaf(honest)]
    )
    redo_tiles(place)
    sign_anew(place, place.signer)
    assert verify.FINE == verify.verify(place.path, place.policy)[0]
    place.close()


def test_entries_of_many_shapes() -> None:
    """Entries of several kinds and models in turns each have a shape, found once."""
    known: list[verify.Shape] = []
    entries = [written(n, mv=n % 2, t="look" if n % 3 else "decision") for n in range(3)]

    assert set() == verdict(entries, known)
    assert 3 == len(known)
    assert set() == verdict(entries, known)
    assert 3 == len(known)
