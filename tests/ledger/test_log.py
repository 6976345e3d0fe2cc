"""The log's contract, kept in both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from pipelines.errors import BadRequest, IntegrityBroken, NotThere, Unavailable
from pipelines.ledger import tree
from pipelines.ledger.entry import SALT_SIZE, Body, Draft, read_entry, seal
from pipelines.ledger.group import Group
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Signer, opened
from pipelines.ledger.proof import Policy, Proof
from pipelines.ledger.store import AlreadyRecorded
from tests.ledger.places import FACTS, ORIGIN, Place, draft


def policy(place: Place) -> Policy:
    return Policy.parse(place.policy.read_text())


def test_a_receipt_proves_offline(place: Place) -> None:
    """A receipt's proof file and entry verify with nothing but the policy."""
    ledger = place.ledger()
    for number in range(5):
        receipt = ledger.record(draft(f"subject {number}"))
        text = receipt.proof.text()

        assert number == receipt.index
        assert number + 1 == Proof.parse(text).verify(receipt.entry, policy(place)).size


def test_what_was_recorded_is_read_back(place: Place) -> None:
    """The bytes recorded come back, also in a process that opens the log later."""
    first = place.ledger().record(draft(content=b"\x00exact bytes\xff"))
    again = place.ledger()

    assert b"\x00exact bytes\xff" == again.read(first.id).content
    assert first.index == again.find(first.id)
    assert first.entry == again.row(first.index).entry


def test_the_entry_tells_nothing_of_the_person(place: Place) -> None:
    """An entry holds facts and digests, at most 600 bytes, and no subject, name or key id."""
    ledger = place.ledger()
    receipt = ledger.record(draft("marked-subject", b"marked-content"))
    parts = list(ledger.store.parts(0, 1))
    fields = read_entry(receipt.entry)

    assert {"c", "ct", "d", "e", "id", "m", "mv", "pc", "t", "ts", "v"} == set(fields)
    assert len(receipt.entry) <= 600
    assert parts[0][2].key_id.hex() not in receipt.entry.decode()
    for secret in (b"marked", ledger.keys.ref("marked-subject").hex().encode()):
        assert secret not in receipt.entry + parts[0][2].ciphertext


def test_many_callers(place: Place) -> None:
    """Sixteen callers at once get places without gap or double, each with a proof that holds."""
    ledger = place.ledger()
    with ThreadPoolExecutor(16) as callers:
        receipts = list(callers.map(lambda n: ledger.record(draft(f"s{n}")), range(200)))

    assert list(range(200)) == sorted(receipt.index for receipt in receipts)
    for receipt in receipts:
        receipt.proof.verify(receipt.entry, policy(place))


def test_many_records_cross_tiles(place: Place) -> None:
    """A thousand records in groups fill tiles, and every later proof is made from them."""
    ledger = place.ledger()
    receipts = ledger.record_many(draft(f"s{n % 7}") for n in range(1000))
    checkpoint, _ = ledger.checkpoint()

    assert (1000, 3) == (checkpoint.size, len(list(ledger.store.tiles())))
    for receipt in receipts[::97]:
        ledger.proof(receipt.index).verify(receipt.entry, policy(place))
    middle = receipts[300]
    proof = ledger.consistency(opened(middle.note, *ledger.verifiers).size, checkpoint.size)
    old = opened(middle.note, *ledger.verifiers)
    tree.verify_consistency(old.size, checkpoint.size, old.root, checkpoint.root, proof)


def test_two_processes_on_one_log(place: Place) -> None:
    """Two openings of one log take turns, and neither loses nor repeats a place."""
    ledgers = [place.ledger(), place.ledger()]
    with ThreadPoolExecutor(8) as callers:
        receipts = list(callers.map(lambda n: ledgers[n % 2].record(draft()), range(60)))

    assert list(range(60)) == sorted(receipt.index for receipt in receipts)
    assert 60 == ledgers[0].checkpoint()[0].size


def test_an_id_is_recorded_once(place: Place) -> None:
    """A second entry with an id is refused, alone; others in its group are recorded."""
    ledger = place.ledger()
    ledger.record(draft(number=b"1" * 16))
    tickets = [ledger.submit(draft(number=each * 16)) for each in (b"1", b"2", b"2", b"3")]
    kept = []
    for ticket in tickets:
        try:
            kept.append(ticket.result().id[:1])
        except AlreadyRecorded:
            kept.append(b"")

    assert [b"", b"2", b"", b"3"] == kept
    assert 3 == ledger.checkpoint()[0].size


def test_a_group_that_is_committed_twice(place: Place) -> None:
    """Where a subject was given a key elsewhere meanwhile, each receipt proves its own place."""
    ledger, other = place.ledger(), place.keys()
    now = seal(draft("anna"), ledger.origin, ledger.keys).keys[0]
    other.link([other.data_key("anna", now.bucket)])
    tickets = ledger.submit_many([draft(who) for who in ("ben", "anna", "carla")])
    receipts = [ticket.result() for ticket in tickets]

    assert [0, 2, 1] == [receipt.index for receipt in receipts]
    sizes = [each.proof.verify(each.entry, policy(place)).size for each in receipts]
    assert [2, 3, 2] == sizes
    assert b"body" == ledger.read(receipts[1].id).content


def test_a_record_about_two_people(place: Place) -> None:
    """A record about two people has a part for each, under a key of each."""
    ledger = place.ledger()
    bodies = (Body("anna", "decision", b"of anna"), Body("ben", "decision", b"of ben"))
    receipt = ledger.record(Draft("decision", FACTS, bodies))
    parts = [part for _, _, part in ledger.store.parts(0, 1)]

    assert [b"of anna", b"of ben"] == [ledger.read(receipt.id, n).content for n in (0, 1)]
    assert 2 == len({part.key_id for part in parts})
    with pytest.raises(NotThere):
        ledger.read(receipt.id, 2)


def test_nothing_random_is_used_twice(place: Place) -> None:
    """Parts that are sealed together have a nonce and a salt each, also two of one record."""
    ledger, bodies = place.ledger(), (Body("anna", "decision", b""), Body("ben", "decision", b""))
    receipts = ledger.record_many(Draft("decision", FACTS, bodies) for _ in range(40))
    nonces = {part.nonce for _, _, part in ledger.store.parts(0, 40)}
    salts = {ledger.read(each.id, n).frame[:SALT_SIZE] for each in receipts for n in (0, 1)}

    assert (80, 80) == (len(nonces), len(salts))


@pytest.mark.parametrize("size", [0, 1, 4_000, 100_000])
def test_a_record_of_any_size(place: Place, size: int) -> None:
    """A record is read back byte for byte, from nothing to a hundred kilobytes."""
    ledger, content = place.ledger(), bytes(range(256)) * (size // 256) + b"\0" * (size % 256)

    assert content == ledger.read(ledger.record(draft(content=content)).id).content


def test_no_repr_tells_about_a_person(place: Place) -> None:
    """What a traceback or a log shows of an entry holds neither subject nor content."""
    ledger, made = place.ledger(), draft("marked-subject", b"marked-content")
    sealed = seal(made, ledger.origin, ledger.keys)
    part = sealed.parts[0]
    shown = f"{made!r} {sealed!r} {ledger.record(made)!r}"

    assert "marked" not in shown
    assert repr(part.ciphertext)[2:-1] not in shown
    assert sealed.keys[0].ref.hex() not in shown
    assert repr(sealed.keys[0].ref)[2:-1] not in shown


def test_a_log_outlives_its_signing_key(place: Place) -> None:
    """A new key goes on where the old one signed, when the old one is named as former."""
    old = place.ledger()
    receipt = old.record(draft())
    old.close()
    new = Signer.generate(ORIGIN)
    former = [place.signer.verifier]
    with pytest.raises(IntegrityBroken):
        Ledger(old.store, old.keys, old.guard, [new], [])
    ledger = Ledger(old.store, old.keys, old.guard, [new], former)
    later = ledger.record(draft())
    ledger.close()
    both = Policy.parse(f"log {new.verifier.vkey()}\nlog {former[0].vkey()}\nquorum none\n")
    only = Policy.parse(f"log {new.verifier.vkey()}\nquorum none\n")
    receipt.proof.verify(receipt.entry, both)
    later.proof.verify(later.entry, only)


@pytest.mark.parametrize(
    "facts",
    [
        {"id": "mine"},
        {"float": 1.5},
        {"yes": True},
        {"ä": "x"},
        {"big": 2**53},
        {"long": "x" * 600},
        {"half": "\ud800"},
    ],
)
def test_facts_that_have_no_place(place: Place, facts: dict[str, object]) -> None:
    """A fact under a taken or odd name, of another type, or too large, is refused."""
    with pytest.raises(BadRequest):
        place.ledger().record(Draft("decision", facts))  # type: ignore[arg-type]


def test_a_closed_ledger_takes_nothing(place: Place) -> None:
    """After closing, what waited is sealed and a new record is refused as unavailable."""
    ledger = place.ledger()
    tickets = [ledger.submit(draft()) for _ in range(10)]
    ledger.close()

    assert list(range(10)) == [ticket.result().index for ticket in tickets]
    with pytest.raises(Unavailable):
        ledger.record(draft())


def test_when_done_is_called(place: Place) -> None:
    """A caller that cannot wait is called when its entry is sealed."""
    called = threading.Event()
    ticket = place.ledger().submit(draft())
    ticket.when_done(called.set)

    assert called.wait(10)
    assert 0 == ticket.result(0).index


def test_when_done_is_called_once(place: Place) -> None:
    """Whether it asks before or after the seal, a caller is called exactly once."""
    ledger, calls = place.ledger(), []
    for number in range(50):
        ticket = ledger.submit(draft())
        ticket.when_done(lambda number=number: calls.append(number))  # type: ignore[misc]
    ledger.close()

    assert list(range(50)) == sorted(calls)


def test_a_caller_who_is_gone_stops_nobody(place: Place) -> None:
    """One that fails when it is called, like a closed event loop, leaves the writer at work."""

    def gone() -> None:
        raise RuntimeError("the loop is closed")

    ledger, called = place.ledger(), threading.Event()
    group = Group()
    group.watch(gone)
    group.watch(called.set)
    group.finish()
    assert called.is_set()
    for _ in range(20):
        with suppress(RuntimeError):  # called here, where the entry is sealed already
            ledger.submit(draft()).when_done(gone)
    assert 20 == ledger.record(draft()).index


def test_what_is_not_there(place: Place) -> None:
    """An id or a place that is not in the log is not there."""
    ledger = place.ledger()
    for call in (lambda: ledger.find(b"0" * 16), lambda: ledger.row(0), lambda: ledger.read(b"")):
        with pytest.raises(NotThere):
            call()


def test_links_lost_in_a_power_cut(place: Place) -> None:
    """A key whose link to its subject was lost is found by what it sealed, and can be erased."""
    ledger = place.ledger()
    number = ledger.record(draft("anna", b"body")).id
    lost = ledger.keys.of_subject("anna")[0]
    place.query_keys("UPDATE dek SET ref = ?, bucket = '' WHERE key_id = ?", (b"", lost.key_id))
    assert [] == ledger.keys.of_subject("anna")
    again = place.ledger()

    assert [lost] == again.keys.of_subject("anna")
    assert b"body" == again.read(number).content


def test_spare_keys_are_dropped_on_closing(place: Place) -> None:
    """Closing leaves no key in the store that seals nothing."""
    ledger = place.ledger()
    ledger.record_many(draft(f"s{number % 3}") for number in range(10))
    ledger.close()

    assert 3 == len(ledger.keys.store.select())
