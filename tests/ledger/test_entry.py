"""The bytes of an entry: one spelling, whatever a fact says."""

from __future__ import annotations

import pytest

from pipelines.canonical import canonical_json
from pipelines.errors import BadRequest
from pipelines.ledger.entry import LARGEST_INTEGER, Fact, entry_bytes, read_entry

OWN: dict[str, object] = {"v": 1, "t": "decision", "id": "0" * 32, "ts": 1, "ct": [], "pc": []}
SURROGATES = range(0xD800, 0xE000)


def test_an_entry_is_canonical_json_whatever_a_fact_says() -> None:
    """Every character that text can hold is written as canonical JSON writes it."""
    letters = [chr(code) for code in range(0x110000) if code not in SURROGATES]
    for at in range(0, len(letters), 100):
        text = "".join(letters[at : at + 60]), "".join(letters[at + 60 : at + 100])
        facts: dict[str, Fact] = {
            "m": text[0],
            "z": text[1],
            "A": LARGEST_INTEGER,
            "_": -LARGEST_INTEGER,
        }
        entry = entry_bytes(OWN, facts)

        assert canonical_json({**OWN, **facts}) == entry
        assert {**OWN, **facts} == read_entry(entry)


def test_half_a_character_is_refused_and_not_repeated() -> None:
    """A text that UTF-8 cannot write is a bad request that says nothing of the text."""
    with pytest.raises(BadRequest) as refused:
        entry_bytes(OWN, {"m": "secret\ud800"})

    assert "secret" not in repr(refused.value)
    assert None is refused.value.__cause__
    assert refused.value.__suppress_context__
