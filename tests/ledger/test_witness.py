"""A witness cosigns what continues the log it saw, and nothing else (C2SP tlog-witness)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.ledger import tree, verify
from pipelines.ledger.bundle import write_bundle
from pipelines.ledger.note import Algorithm, Checkpoint, Note, Signer
from pipelines.ledger.witness import Answer, Witness, ask, post, server, write_request
from tests.ledger.places import Place, draft

LOG = Signer.generate("example.com/decisions")
KEY = Signer.generate("witness.example/w1", Algorithm.COSIGNATURE)
LEAVES = [tree.hash_leaf(b"%d" % number) for number in range(12)]


def grown(size: int, leaves: list[bytes] = LEAVES) -> tree.Growth:
    return tree.grow(0, {}, leaves[:size])


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(LOG.name, size, grown(size, leaves).root())


def request(old: int, new: int, leaves: list[bytes] = LEAVES) -> str:
    nodes = grown(new, leaves).nodes
    proof = tree.consistency_proof(old, new, lambda height, index: nodes[height, index])
    return write_request(old, proof, checkpoint(new, leaves).signed(LOG))


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(KEY, [LOG.verifier], tmp_path / "memory")


def test_it_cosigns_a_log_that_grows(witness: Witness) -> None:
    """Each consistent checkpoint gets a cosignature that verifies, and is remembered."""
    for old, new in [(0, 3), (3, 3), (3, 8), (8, 12)]:
        answer = witness.add_checkpoint(request(old, new))
        note = Note.parse(checkpoint(new).text + "\n" + answer.body)

        assert 200 == answer.status
        assert [KEY.verifier] == list(note.verified([KEY.verifier]))
        assert checkpoint(new) == witness.last(LOG.name)


def test_it_remembers_across_a_restart(witness: Witness, tmp_path: Path) -> None:
    """A witness started anew refuses what the one before would have refused."""
    witness.add_checkpoint(request(0, 8))
    again = Witness(KEY, [LOG.verifier], tmp_path / "memory")

    assert Answer(409, "8\n") == again.add_checkpoint(request(0, 3))


OTHER = [*LEAVES[:5], tree.hash_leaf(b"rewritten"), *LEAVES[6:]]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (request(0, 12), 409),
        (request(3, 12), 409),
        (request(8, 12, OTHER), 422),
        (request(8, 8, OTHER), 422),
        (request(8, 12).replace("old 8\n", "old 8\n" + "A" * 43 + "=\n"), 422),
        (write_request(8, [], checkpoint(12).signed(LOG)), 422),
        (write_request(12, [], checkpoint(8).signed(LOG)), 400),
        (request(8, 12).replace("old 8", "old 08"), 400),
        (request(8, 12).replace("old 8", "8"), 400),
        (request(8, 12).replace("old 8", "old " + "9" * 5000), 400),
        ("", 400),
        (write_request(8, [bytes(32)] * 64, checkpoint(12).signed(LOG)), 400),
        (write_request(8, [], checkpoint(12).signed(Signer.generate(LOG.name))), 403),
        (request(8, 12).replace(LOG.name, "example.com/unknown", 1), 404),
        (request(8, 12)[:-4] + "!!!\n", 400),
    ],
)
def test_it_refuses(witness: Witness, text: str, status: int) -> None:
    """A rollback, another history, a broken proof or request, a stranger: each its own status."""
    witness.add_checkpoint(request(0, 8))

    assert status == witness.add_checkpoint(text).status
    assert checkpoint(8) == witness.last(LOG.name)


def test_a_broken_signature_is_forbidden(witness: Witness) -> None:
    """A checkpoint whose signature by a trusted key does not match is forbidden."""
    note = checkpoint(3).signed(LOG)
    place = note.rindex(" ") + 20
    broken = note[:place] + ("A" if note[place] != "A" else "B") + note[place + 1 :]

    assert 403 == witness.add_checkpoint(write_request(0, [], broken)).status


def test_two_at_once(witness: Witness) -> None:
    """Of two histories sent at the same moment, one is cosigned."""
    texts = [request(0, 6), request(0, 6, OTHER)] * 4
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(witness.add_checkpoint, texts))

    roots = {text for text, answer in zip(texts, answers, strict=True) if answer.status == 200}
    assert 1 == len(roots)


@pytest.fixture
def running(place: Place) -> Iterator[tuple[ThreadingHTTPServer, str]]:
    witness = Witness(KEY, [place.signer.verifier], place.folder / "memory")
    started = server(witness, "127.0.0.1", 0)
    thread = threading.Thread(target=started.serve_forever, args=(0.01,))
    thread.start()
    yield started, f"http://127.0.0.1:{started.server_port}"
    started.shutdown()
    thread.join()
    started.server_close()


def test_a_log_asks_over_http(place: Place, running: tuple[ThreadingHTTPServer, str]) -> None:
    """A log gets its checkpoints cosigned, and a bundle under one meets a witness quorum."""
    ledger = place.ledger()
    policy = place.folder / "quorum"
    lines = [f"log {place.signer.verifier.vkey()}", f"witness w {KEY.verifier.vkey()}", "quorum w"]
    policy.write_text("\n".join(lines))
    for _ in range(3):
        receipt = ledger.record(draft())
        note = ask(ledger, running[1], KEY.verifier)
    folder = write_bundle(ledger, receipt.id, place.folder / "cosigned", note=note)
    alone = write_bundle(ledger, receipt.id, place.folder / "alone")

    assert 3 == len(ledger.store.cosigned())
    assert 0 == verify.verify(folder, policy)[0]
    assert verify.CANNOT == verify.verify(alone, policy)[0]


def test_http_edges(place: Place, running: tuple[ThreadingHTTPServer, str]) -> None:
    """Another path and a request too large are not found; a conflict has the size's type."""
    ledger = place.ledger()
    ledger.record(draft())
    ask(ledger, running[1], KEY.verifier)

    assert 404 == post(running[1], "x" * 70_000).status
    assert Answer(409, "1\n") == post(running[1], write_request(0, [], ledger.checkpoint()[1]))
    with pytest.raises(Unavailable):
        post("http://127.0.0.1:1", "")
    with pytest.raises(IntegrityBroken):
        ask(ledger, running[1], Signer.generate(KEY.name, Algorithm.COSIGNATURE).verifier)


@pytest.mark.parametrize("length", ["-1", "9" * 5000, "x", "+5", ""], ids=lambda each: each[:3])
def test_a_length_that_is_none_is_refused(
    running: tuple[ThreadingHTTPServer, str], length: str
) -> None:
    """A request is read as far as it says, and one that does not say how far is not read."""
    address = running[0].server_address[:2]
    with socket.create_connection((str(address[0]), address[1]), timeout=60) as client:
        head = f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {length}\r\n\r\n"
        client.sendall(head.encode() + b"old 0\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_broken_memory_cosigns_nothing(witness: Witness, tmp_path: Path) -> None:
    """A witness that cannot tell what it saw last says so, and cosigns nothing."""
    (tmp_path / "memory").write_text("[]")
    with pytest.raises(IntegrityBroken):
        witness.add_checkpoint(request(0, 3))
