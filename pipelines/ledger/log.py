"""The append-only log: one writer thread commits in groups, and acknowledges what is sealed.

Place, entry, leaf, tiles and signed checkpoint are written in one transaction. A caller gets its
receipt, with a proof that can be checked offline, after that transaction is durable, or an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Final

from pipelines.errors import BadRequest, ClewError, Erased, IntegrityBroken, NotThere, Unavailable
from pipelines.ledger.entry import (
    Disclosed,
    Draft,
    Sealed,
    bound_to,
    disclose,
    read_entry,
    seal_many,
)
from pipelines.ledger.group import LARGEST_GROUP, Group, GroupWriter, Receipt, Ticket
from pipelines.ledger.guard import Guard
from pipelines.ledger.head import Head, check_guard, checked_head, refuse_rows_beyond
from pipelines.ledger.keys import Keys
from pipelines.ledger.note import Checkpoint, Signer, Verifier, opened
from pipelines.ledger.proof import Proof
from pipelines.ledger.store import Addition, AlreadyRecorded, Row, Store, Writing
from pipelines.ledger.tiles import finished_tiles, fold_joined, node_in, tile_rows
from pipelines.ledger.tree import EMPTY_ROOT, consistency_proof, grow, inclusion_proof

MOST_UNDER_WAY: Final = 4 * LARGEST_GROUP
REMEMBERED_TILES: Final = 256
REMEMBERED_NOTES: Final = 4


class Ledger:
    """One log, for many threads. Several processes may open the same one."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        guard: Guard,
        signers: Sequence[Signer],
        former: Sequence[Verifier] = (),
    ) -> None:
        """Open the log, sign with each of `signers`; checkpoints by `former` keys are accepted.

        Raises IntegrityBroken when the database is not the continuation of what was signed.
        """
        self.store, self.keys, self.guard = store, keys, guard
        self.origin = signers[0].name
        self.verifiers = (*(signer.verifier for signer in signers), *former)
        self._signers = tuple(signers)
        self._rows = tile_rows(store.tile, REMEMBERED_TILES)
        self._opened = lru_cache(maxsize=REMEMBERED_NOTES)(partial(_opened_by, self.verifiers))
        self._head: Head | None = None
        self._guarded: str | None = None
        self._begin()
        self._find_lost_links()
        self._writer = GroupWriter(self._commit)

    def record(self, draft: Draft) -> Receipt:
        """Record one draft and wait for its seal. Raises Unavailable, BadRequest."""
        return self._writer.append_and_wait(draft)

    def record_many(self, drafts: Iterable[Draft]) -> list[Receipt]:
        """Record drafts, in groups; return a receipt for each in order."""
        tickets: list[Ticket] = []
        drafts = iter(drafts)
        while chunk := list(islice(drafts, LARGEST_GROUP)):
            if len(tickets) >= MOST_UNDER_WAY:
                tickets[-MOST_UNDER_WAY].result()
            tickets += self._writer.append(seal_many(chunk, self.origin, self.keys))
        return [ticket.result() for ticket in tickets]

    def submit(self, draft: Draft) -> Ticket:
        """Hand a draft to the writer, and return without waiting for disk or key store."""
        return self._writer.append([draft])[0]

    def submit_many(self, drafts: Sequence[Draft]) -> list[Ticket]:
        """Hand drafts to the writer at once, so that they are committed together."""
        return self._writer.append(drafts)

    def append(self, sealed: Sealed) -> Ticket:
        """Hand a sealed entry to the writer. Raises Unavailable when it takes no more."""
        return self._writer.append([sealed])[0]

    def close(self) -> None:
        """Commit what waits, and end the writer."""
        self._writer.close()
        self.keys.drop_spare()

    def checkpoint(self) -> tuple[Checkpoint, str]:
        """Return the newest checkpoint and its note."""
        note = self.store.note()
        if note is None:
            raise NotThere("the log has no checkpoint")
        return self._opened(note), note

    def find(self, number: bytes) -> int:
        """Return the place of an entry by its id. Raises NotThere."""
        found = self.store.seq_of([number])
        if number not in found:
            raise NotThere(
                "no such entry",
                where=number.hex(),
                expected="an id of this log, as an answer, a letter or a list gives it",
                hint="clew pages, to search by person or day",
            )
        return found[number]

    def row(self, index: int) -> Row:
        """Return the entry at a place. Raises NotThere."""
        for row in self.store.rows(index, index + 1):
            return row
        raise NotThere("no such entry", where=f"index {index}")

    def proof(self, index: int, note: str | None = None) -> Proof:
        """Return the proof of an entry under a checkpoint of this log: the newest, or `note`."""
        checkpoint, newest = self.checkpoint()
        if note is not None:
            checkpoint = self._opened(note)
        hashes = inclusion_proof(index, checkpoint.size, node_in(checkpoint.size, self._rows))
        return Proof(index, tuple(hashes), newest if note is None else note)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the log of `new` leaves continues the log of `old` leaves."""
        return consistency_proof(old, new, node_in(new, self._rows))

    def read(self, number: bytes, n: int = 0) -> Disclosed:
        """Decrypt one body of an entry and check it against the entry.

        Raises Erased where a tombstone counts it, IntegrityBroken where it is unreadable or
        changed without one, NotThere where there is no such entry.
        """
        index = self.find(number)
        for seq, place, part in self.store.parts(index, index + 1):
            if place == n:
                try:
                    cipher = self.keys.cipher(part.key_id)
                except NotThere:
                    break
                fields = read_entry(self.row(seq).entry)
                return disclose(fields, n, part, cipher, bound_to(self.origin, number, n))
        if any(each.n == n for each in self.store.erased(index, index + 1)):
            raise Erased("this record was erased", where=number.hex())
        if n >= len(read_entry(self.row(index).entry)["ct"]):
            raise NotThere("no such part", where=f"{number.hex()} part {n}")
        raise IntegrityBroken("a record is unreadable and no tombstone says so", where=number.hex())

    def _begin(self) -> None:
        """Bring guard and database together; in an empty log, sign the empty tree."""
        with self.guard.locked(), self.store.writing() as writing:
            last = self.guard.last()
            never_grew = last is None or opened(last, *self.verifiers).size == 0
            if writing.note() is not None or not never_grew:
                self._catch_up(writing)
                return
            refuse_rows_beyond(writing, 0)
            empty = Checkpoint(self.origin, 0, EMPTY_ROOT).signed(*self._signers)
            self.guard.swap(last, empty)
            writing.add(Addition(0, (), (), 0, empty))
            self._head, self._guarded = Head(empty, 0, {}), empty

    def _find_lost_links(self) -> None:
        """Give keys back to their subjects whose links a power cut took from the key store.

        Links are written without waiting for the disk; what a key sealed names its subject.
        """
        spare = [key.key_id for key in self.keys.store.select(ref=b"")]
        for seq, n in self.store.parts_under(spare):
            part = next(p for at, place, p in self.store.parts(seq, seq + 1) if place == n)
            row = self.row(seq)
            cipher, bound = self.keys.cipher(part.key_id), bound_to(self.origin, row.id, n)
            found = disclose(read_entry(row.entry), n, part, cipher, bound)
            self.keys.store.link([(part.key_id, found.ref, found.bucket)], beside=True)

    def _catch_up(self, writing: Writing) -> Head:
        """Return the log's head, checked anew where it or the guard moved since last time."""
        note, last = writing.note(), self.guard.last()
        if self._head is not None and note == self._head.note and last == self._guarded:
            return self._head
        head = checked_head(writing, self.verifiers)
        check_guard(head, last, self.verifiers, writing.tile)
        self._head, self._guarded = head, last
        return head

    def _commit(self, group: Group) -> None:
        """Commit a group; where an id is in use, fail its entry and commit the others."""
        self._seal(group)
        while places := group.open_places():
            try:
                self._commit_places(group, places)
            except AlreadyRecorded as error:
                self._fail_recorded(group, places, error)

    def _seal(self, group: Group) -> None:
        """Seal the drafts of a group in one go; one that cannot be sealed fails alone."""
        drafts = {place: one for place, one in enumerate(group.asked) if isinstance(one, Draft)}
        group.sealed = {p: one for p, one in enumerate(group.asked) if isinstance(one, Sealed)}
        try:
            done = seal_many(list(drafts.values()), self.origin, self.keys)
            group.sealed.update(zip(drafts, done, strict=True))
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - found out one by one; nothing is written yet
            for place, draft in drafts.items():
                self._seal_alone(group, place, draft)

    def _seal_alone(self, group: Group, place: int, draft: Draft) -> None:
        try:
            group.sealed[place] = seal_many([draft], self.origin, self.keys)[0]
        except ClewError as error:
            group.fail(error, [place])
        except Exception as error:  # noqa: BLE001 - its words may hold a person's values
            refusal = BadRequest("an entry that cannot be sealed", observed=type(error).__name__)
            group.fail(refusal, [place])

    def _commit_places(self, group: Group, places: list[int]) -> None:
        with self.guard.locked():
            with self.store.writing() as writing:
                head = self._catch_up(writing)
                places = self._with_live_keys(group, places)
                if not places:
                    return
                sealed = [group.sealed[place] for place in places]
                growth = grow(head.size, head.peaks, [each.leaf for each in sealed])
                note = Checkpoint(self.origin, growth.size, growth.root()).signed(*self._signers)
                tiles = [
                    (level, n, fold_joined(hashes), hashes)
                    for level, n, hashes in finished_tiles(head.size, growth, writing.tile)
                ]
                writing.add(Addition(head.size, sealed, tiles, growth.size, note))
            self._head = Head(note, growth.size, growth.peaks)
            self.guard.swap(self._guarded, note)
            self._guarded = note
        group.commit(places, head.size, note, growth)

    def _with_live_keys(self, group: Group, places: list[int]) -> list[int]:
        """Link the keys, and return the entries whose keys are in force.

        One whose key was retired meanwhile, or whose subject another process gave a key, is sealed
        anew under the key in force, and committed next; what came sealed fails.
        """
        keys = {key.key_id: key for place in places for key in group.sealed[place].keys}
        alive = self.keys.still_alive(keys.values())
        alive -= self.keys.link(key for key in keys.values() if key.key_id in alive)
        if len(alive) == len(keys):
            return places
        dead = [p for p in places if any(k.key_id not in alive for k in group.sealed[p].keys)]
        for place in dead:
            one = group.asked[place]
            if isinstance(one, Draft):
                self._seal_alone(group, place, one)
            else:
                group.fail(Unavailable("another key is in force by now: record it again"), [place])
        return [place for place in places if place not in dead]

    def _fail_recorded(self, group: Group, places: list[int], error: AlreadyRecorded) -> None:
        seen = set(self.store.seq_of([group.sealed[place].id for place in places]))
        failed = 0
        for place in places:
            number = group.sealed[place].id
            if number in seen:
                group.fail(error, [place])
                failed += 1
            seen.add(number)
        if not failed:
            raise IntegrityBroken("the ledger holds entries beyond its checkpoint")


def _opened_by(keys: Sequence[Verifier], note: str) -> Checkpoint:
    return opened(note, *keys)
