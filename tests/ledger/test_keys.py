"""Data keys are found again, die when destroyed, and survive a rotation cut short anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.adapters.key_store import SqliteKeyStore
from pipelines.errors import BadRequest, IntegrityBroken, NotThere, Unavailable
from pipelines.ledger import keys as module
from pipelines.ledger import secret_files
from pipelines.ledger.key_store import WrappedKey
from pipelines.ledger.keys import DataKey, Keys, Ring, bucket_of
from pipelines.ledger.secret_files import create_signer, read_signer
from tests.ledger.places import Place

NONCE = bytes(12)


@pytest.fixture
def opened(place: Place) -> Keys:
    return place.keys()


def key_for(keys: Keys, subject: str, bucket: str) -> DataKey:
    """Return a key that was used: the writer links it before what it seals is committed."""
    key = keys.data_key(subject, bucket)
    keys.link([key])
    return key


def test_a_key_is_found_again(opened: Keys, place: Place) -> None:
    """The key of a subject and bucket is the same in another process, and opens by its id."""
    first = key_for(opened, "anna", "2026-11/decision")
    sealed = first.cipher.encrypt(NONCE, b"body", None)
    again = key_for(place.keys(), "anna", "2026-11/decision")

    assert first.key_id == again.key_id
    assert b"body" == again.cipher.decrypt(NONCE, sealed, None)
    assert b"body" == place.keys().cipher(first.key_id).decrypt(NONCE, sealed, None)


def test_many_keys_are_found_at_once(opened: Keys, place: Place) -> None:
    """Each by its own id; one that is destroyed, or was never there, is left out."""
    made = [key_for(opened, f"person-{n}", "2026-11/d") for n in range(70)]
    sealed = {each.key_id: each.cipher.encrypt(NONCE, each.ref, None) for each in made}
    opened.destroy([made[3].key_id])
    found = place.keys().ciphers([os.urandom(16), *sealed])

    assert sealed.keys() - {made[3].key_id} == found.keys()
    assert all(
        each.ref == found[each.key_id].decrypt(NONCE, sealed[each.key_id], None)
        for each in made
        if each is not made[3]
    )


def test_a_key_whose_wrapping_key_is_gone_is_left_out_of_many(opened: Keys) -> None:
    """As when a former copy of the key store is put back: the others are found all the same."""
    kept, lost = (key_for(opened, name, "2026-11/d") for name in ("anna", "ben"))
    former = opened.store.keys([lost.key_id])
    opened.rotate()
    opened.store.rewrap(former)

    assert {kept.key_id} == opened.ciphers([kept.key_id, lost.key_id]).keys()


def test_keys_differ_by_subject_and_bucket(opened: Keys) -> None:
    """Two subjects, or two buckets, never share a key."""
    pairs = [(s, b) for s in ("anna", "ben") for b in ("2026-11/d", "2026-12/d")]

    assert 4 == len({key_for(opened, *pair).key_id for pair in pairs})


def test_the_store_holds_no_subject(opened: Keys, place: Place) -> None:
    """A subject's name is in none of the key store's files, and in no repr."""
    key = key_for(opened, "marked-subject", "2026-11/d")
    files = [path.read_bytes() for path in place.folder.iterdir()]
    files.append(str(place.query_keys("SELECT * FROM dek")).encode())

    assert not any(b"marked-subject" in content for content in files)
    assert key.ref.hex() not in repr(key)
    assert str(key.ref) not in repr(key)


def test_a_destroyed_key_is_gone(opened: Keys) -> None:
    """After destruction the key opens nothing and is told dead, and its subject gets a new one."""
    key = key_for(opened, "anna", "b")
    other = key_for(opened, "ben", "b")
    opened.destroy([row.key_id for row in opened.of_subject("anna")])

    assert {other.key_id} == opened.still_alive([key, other])
    assert key.key_id != key_for(opened, "anna", "b").key_id
    with pytest.raises(NotThere):
        opened.cipher(key.key_id)


def test_another_process_learns_of_a_destroyed_key(opened: Keys, place: Place) -> None:
    """A key kept in memory is told dead when another process destroyed it."""
    other = place.keys()
    key = key_for(other, "anna", "b")
    opened.destroy([key.key_id])

    assert set() == other.still_alive([key])
    assert key.key_id != key_for(other, "anna", "b").key_id


def test_rotation_keeps_survivors_and_kills_the_old_copies(opened: Keys, place: Place) -> None:
    """After a rotation survivors open, and a key store from before it opens nothing."""
    key = key_for(opened, "anna", "b")
    before = {row.key_id: row for row in opened.store.select()}
    opened.rotate()
    now = place.keys()
    now.cipher(key.key_id)
    now.store.rewrap([before[key.key_id]])

    assert [2] == list(Ring.read(place.folder / "ring").epochs)
    with pytest.raises(NotThere):
        now.cipher(key.key_id)


class Cut(Exception):
    """Stands for a crash."""


@pytest.mark.parametrize("replaced", [0, 1])
def test_a_rotation_cut_short_is_finished(
    opened: Keys, place: Place, monkeypatch: pytest.MonkeyPatch, replaced: int
) -> None:
    """A crash before either replacement of the key ring leaves keys readable, and is finished."""
    key = key_for(opened, "anna", "b")
    real, calls = secret_files.replace_secret, iter(range(2))

    def crash(path: Path, text: str) -> None:
        if next(calls) == replaced:
            raise Cut
        real(path, text)

    monkeypatch.setattr(module, "replace_secret", crash)
    with pytest.raises(Cut):
        opened.rotate()
    monkeypatch.undo()
    again = place.keys()
    again.cipher(key.key_id)

    assert 1 == len(Ring.read(place.folder / "ring").epochs)


def test_another_process_rotated(opened: Keys, place: Place) -> None:
    """A process that was open while another rotated makes keys that can be read later."""
    other = place.keys()
    opened.rotate()
    fresh = [key_for(other, f"subject {n}", "b") for n in range(3)]
    third = place.keys()

    assert fresh == [key_for(other, f"subject {n}", "b") for n in range(3)]
    for each in fresh:
        third.cipher(each.key_id)


def test_another_process_reads_on_after_a_rotation(opened: Keys, place: Place) -> None:
    """A process that was open while another rotated reads what was sealed before."""
    other = place.keys()
    key = key_for(other, "anna", "b")
    opened.rotate()
    sealed = key.cipher.encrypt(NONCE, b"body", None)

    assert b"body" == other.cipher(key.key_id).decrypt(NONCE, sealed, None)


def test_a_changed_wrapped_key_is_refused(opened: Keys) -> None:
    """A flipped byte in a wrapped key, or another key's row in its place, opens nothing."""
    first, second = key_for(opened, "anna", "b"), key_for(opened, "ben", "b")
    row = opened.store.key(second.key_id)
    assert row is not None
    opened.store.rewrap([WrappedKey(first.key_id, row.epoch, row.wrapped)])

    with pytest.raises(IntegrityBroken):
        opened.cipher(first.key_id)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_key_files_are_the_owners_alone(opened: Keys, place: Place, mode: int) -> None:
    """A key file that others can read is refused with the command that mends it."""
    assert 0o600 == (place.folder / "signer").stat().st_mode & 0o777
    for name in ("signer", "ring"):
        (place.folder / name).chmod(mode)
    with pytest.raises(BadRequest) as refused:
        read_signer(place.folder / "signer")
    with pytest.raises(BadRequest):
        place.keys()

    assert f"chmod 600 {place.folder / 'signer'}" == refused.value.hint


def test_key_files_are_never_overwritten(tmp_path: Path) -> None:
    """Making a key where there is one raises and leaves it as it was."""
    signer = create_signer(tmp_path / "signer", "example.com/log")
    with pytest.raises(IntegrityBroken):
        create_signer(tmp_path / "signer", "example.com/log")

    assert signer.verifier == read_signer(tmp_path / "signer").verifier


def test_nothing_secret_in_repr(opened: Keys, place: Place) -> None:
    """No repr of a key object shows key material."""
    key = key_for(opened, "anna", "b")
    ring = Ring.read(place.folder / "ring")
    shown = " ".join(map(repr, [ring, key, opened, *opened.store.select()]))

    for secret in [ring.index, *ring.epochs.values(), *(r.wrapped for r in opened.store.select())]:
        assert repr(secret) not in shown
        assert secret.hex() not in shown


def test_no_ring_is_not_there(place: Place) -> None:
    """A missing or broken key ring is an error, never a new ring."""
    (place.folder / "ring").unlink()
    with pytest.raises(NotThere):
        place.keys()
    os.close(os.open(place.folder / "ring", os.O_CREAT, 0o600))
    with pytest.raises(IntegrityBroken):
        place.keys()


def test_an_unwritable_store_is_unavailable(tmp_path: Path) -> None:
    """A key store that cannot be opened is unavailable, not empty."""
    (tmp_path / "keys.db").mkdir()
    with pytest.raises(Unavailable):
        SqliteKeyStore(tmp_path / "keys.db")


def test_holds(opened: Keys) -> None:
    """A hold is kept with its reason until it is lifted."""
    ref = opened.ref("anna")
    opened.store.set_hold(ref, "complaint")
    held = opened.store.hold(ref)
    opened.store.set_hold(ref, "")

    assert ("complaint", "") == (held, opened.store.hold(ref))


def test_bucket() -> None:
    """A bucket is the month in UTC and the purpose."""
    assert "2026-10/decision" == bucket_of(1_793_490_000_000 - 86_400_000, "decision")


def test_a_key_is_linked_when_it_is_used(opened: Keys) -> None:
    """A key handed out and never used belongs to nobody in the store."""
    key = opened.data_key("anna", "b")
    before = opened.of_subject("anna")
    opened.link([key])

    assert ([], [key.key_id]) == (before, [row.key_id for row in opened.of_subject("anna")])


def test_a_subject_gets_one_key(place: Place) -> None:
    """Of two processes with a new subject the second to commit learns that another key is linked.

    It is then handed the key of the first.
    """
    first, second = place.keys(), place.keys()
    made = [each.data_key("anna", "b") for each in (first, second)]
    lost = [each.link([key]) for each, key in zip((first, second), made, strict=True)]

    assert [set(), {made[1].key_id}] == lost
    assert made[0].key_id == second.data_key("anna", "b").key_id
    assert [made[0].key_id] == [row.key_id for row in place.keys().of_subject("anna")]
    assert place.key_store().key(made[1].key_id) is None


def test_a_key_is_linked_beside_another(place: Place) -> None:
    """A key that sealed something is given to its subject even where another has that place."""
    opened = place.keys()
    first = key_for(opened, "anna", "b")
    spare = WrappedKey(b"s" * 16, 1, bytes(60))
    opened.store.add([spare])
    opened.store.link([(spare.key_id, first.ref, "b")], beside=True)

    assert {first.key_id, spare.key_id} == {row.key_id for row in opened.of_subject("anna")}


def test_a_linked_key_stays_its_subjects(opened: Keys) -> None:
    """A key that belongs to a subject is neither given to another nor dropped as unused."""
    key = key_for(opened, "anna", "b")
    opened.store.drop_spare([key.key_id])
    lost = opened.store.link([(key.key_id, opened.ref("ben"), "b")])

    assert {key.key_id} == lost
    assert [key.key_id] == [row.key_id for row in opened.of_subject("anna")]


def test_many_pairs_are_found_at_once(opened: Keys) -> None:
    """Asked for more than one page of pairs, the store returns a key for each that has one."""
    keys = {f"s{n}": key_for(opened, f"s{n}", "b") for n in range(40)}
    pairs = [(key.ref, key.bucket) for key in keys.values()]
    generation, found = opened.store.find([*pairs, (b"nobody", "b")])

    assert 0 == generation
    assert {pair: key.key_id for pair, key in zip(pairs, keys.values(), strict=True)} == {
        pair: row.key_id for pair, row in found.items()
    }


def test_an_all_or_nothing_rewrap(opened: Keys) -> None:
    """Where one key of a rewrap is wrong, none is replaced."""
    keys = [key_for(opened, name, "b") for name in ("anna", "ben")]
    before = opened.store.select()
    bad = WrappedKey(keys[1].key_id, 2, None)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        opened.store.rewrap([WrappedKey(keys[0].key_id, 2, b"w"), bad])

    assert sorted(before, key=str) == sorted(opened.store.select(), key=str)
