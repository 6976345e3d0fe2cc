"""Timestamps by a real authority: theirs over this checkpoint is taken, everything else refused."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipelines.errors import BadRequest, IntegrityBroken, NotThere, Unavailable
from pipelines.ledger import stamps, timestamp, verify
from pipelines.ledger.bundle import write_bundle
from pipelines.ledger.proof import Policy
from pipelines.ledger.timestamp import read_authority, request
from tests.ledger.authority import Authority
from tests.ledger.places import SqlitePlace, draft
from tests.registries import free_port

STAMPED, NONCE = b"a checkpoint", 0x80FF_0000_0000_0001


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("one") / "one")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("two") / "two")


@pytest.fixture(scope="module")
def answer(authority: Authority) -> bytes:
    return authority.stamp(request(STAMPED, NONCE))


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path)


def test_a_stamp_is_taken_and_openssl_agrees(authority: Authority, answer: bytes) -> None:
    """The time is now, whether the nonce is known or not; OpenSSL verifies the same bytes."""
    certificate = read_authority(authority.certificate)
    now = dt.datetime.now(dt.UTC)
    for nonce in (None, NONCE):
        at = timestamp.verify(answer, STAMPED, certificate, nonce)
        assert abs(now - at) < dt.timedelta(minutes=1)

    assert authority.accepts(answer, STAMPED)
    assert not authority.accepts(answer, STAMPED + b"!")


@pytest.mark.parametrize(
    ("kind", "digest", "names"),
    [("ec", "sha256", "sha256"), ("rsa", "sha512", "sha1"), ("ec", "sha384", "sha512")],
)
def test_kinds_of_authorities(tmp_path: Path, kind: str, digest: str, names: str) -> None:
    """RSA and ECDSA, each digest, and both ways of naming the certificate are understood."""
    made = Authority(tmp_path / "tsa", kind, digest=digest, names=names)
    answer = made.stamp(request(STAMPED, NONCE))

    assert timestamp.verify(answer, STAMPED, read_authority(made.certificate), NONCE)
    assert made.accepts(answer, STAMPED)


def test_a_stamp_over_something_else_is_refused(authority: Authority, answer: bytes) -> None:
    """Another checkpoint's stamp, or one to another's question, says nothing of this one."""
    certificate = read_authority(authority.certificate)
    with pytest.raises(IntegrityBroken, match="over something else"):
        timestamp.verify(answer, b"another checkpoint", certificate)
    with pytest.raises(IntegrityBroken, match="another's"):
        timestamp.verify(answer, STAMPED, certificate, NONCE + 1)


def test_another_authoritys_stamp_is_refused(other: Authority, answer: bytes) -> None:
    """A stamp counts for the authority whose certificate the auditor brings, and for no other."""
    with pytest.raises(IntegrityBroken, match="another certificate"):
        timestamp.verify(answer, STAMPED, read_authority(other.certificate))


def test_a_certificate_renewed_with_the_same_key_is_another(
    authority: Authority, tmp_path: Path, answer: bytes
) -> None:
    """What the signed attributes name is the certificate, not its key."""
    made = Authority(tmp_path / "again")
    for name in ("authority.key", "authority.pem"):
        (made.folder / name).write_bytes((authority.folder / name).read_bytes())
    assert timestamp.verify(answer, STAMPED, read_authority(made.certificate))
    command = ["req", "-x509", "-key", "authority.key", "-subj", "/CN=TSA one", "-out"]
    extension = ["-addext", "extendedKeyUsage=critical,timeStamping"]
    made.run(*command, "authority.pem", *extension)
    with pytest.raises(IntegrityBroken, match="another certificate"):
        timestamp.verify(answer, STAMPED, read_authority(made.certificate))


def test_no_byte_of_it_can_change(authority: Authority, answer: bytes) -> None:
    """A flipped bit anywhere is refused, or in what is not signed changes nothing that is told."""
    certificate = read_authority(authority.certificate)
    at = timestamp.verify(answer, STAMPED, certificate, NONCE)
    accepted = []
    for place in range(len(answer)):
        changed = answer[:place] + bytes([answer[place] ^ 1]) + answer[place + 1 :]
        try:
            assert at == timestamp.verify(changed, STAMPED, certificate, NONCE)
            accepted.append(place)
        except IntegrityBroken:
            continue
    info, signer = timestamp.opened(answer)
    for signed in (info, signer[3].raw, signer[5].raw):
        start = answer.index(signed)
        assert not set(accepted) & set(range(start, start + len(signed)))


@pytest.mark.parametrize("part", [0, 1, 2, 10, 0.5, 0.9, -1])
def test_a_stamp_that_is_cut_off_is_refused(
    authority: Authority, answer: bytes, part: float
) -> None:
    """A part of a stamp, an empty one, or one with bytes after it is refused and never crashes."""
    certificate = read_authority(authority.certificate)
    at = int(part * len(answer)) if 0 < part < 1 else int(part)
    for broken in (answer[:at], answer + b"\0"):
        with pytest.raises(IntegrityBroken):
            timestamp.verify(broken, STAMPED, certificate)


def test_a_refusal_is_no_stamp(authority: Authority) -> None:
    """An authority that grants nothing is told so."""
    refusal = authority.stamp(request(STAMPED, NONCE).replace(timestamp.SHA256, b"\x55" * 9))
    with pytest.raises(IntegrityBroken, match="granted no timestamp"):
        timestamp.verify(refusal, STAMPED, read_authority(authority.certificate))


def test_a_certificate_for_another_use_is_refused(tmp_path: Path, authority: Authority) -> None:
    """Only a certificate for timestamps alone may stamp; anything else is no certificate."""
    made = Authority(tmp_path / "web", use=ExtendedKeyUsageOID.SERVER_AUTH)
    for wrong in (made.certificate, authority.folder / "authority.key"):
        with pytest.raises(BadRequest):
            read_authority(wrong)


def test_a_certificate_that_had_ended_is_refused(tmp_path: Path) -> None:
    """A stamp of a time when the certificate was not valid is refused."""
    made = Authority(tmp_path / "old", valid=(-9, -1))
    answer = made.stamp(request(STAMPED, NONCE))
    with pytest.raises(IntegrityBroken, match="not valid then"):
        timestamp.verify(answer, STAMPED, read_authority(made.certificate))


def test_a_log_is_stamped_and_a_bundle_proves_it(place: SqlitePlace, authority: Authority) -> None:
    """A stamp is kept beside the log; a bundle carries the first over its entry, and proves it."""
    ledger, certificate = place.ledger(), read_authority(authority.certificate)
    numbers = [ledger.record(draft()).id for _ in range(3)]
    folder = place.folder / "stamps"
    with authority.serving() as (url, asked):
        stamps.keep(folder, stamps.ask(url, stamps.newest(ledger), certificate))
        numbers += [ledger.record(draft()).id for _ in range(2)]
        stamps.keep(folder, stamps.ask(url, stamps.newest(ledger), certificate))
    numbers.append(ledger.record(draft()).id)
    policy = Policy.parse(place.policy.read_text())

    assert [3, 5] == [each.size for each in stamps.kept(folder)]
    assert [3, 5] == [stamps.check(each, policy, certificate)[0] for each in stamps.kept(folder)]
    assert 2 == len(set(asked))
    sizes = []
    for number in numbers[:5]:
        bundle = write_bundle(ledger, number, place.folder / number.hex())
        assert stamps.add_to_bundle(ledger, ledger.find(number), folder, bundle)
        sizes.append(stamps.check_bundle(bundle, policy, certificate)[0])
        assert verify.FINE == verify.verify(bundle, place.policy)[0]
    assert [3, 3, 3, 5, 5] == sizes
    last = write_bundle(ledger, numbers[5], place.folder / "last")
    assert not stamps.add_to_bundle(ledger, 5, folder, last)
    with pytest.raises(NotThere):
        stamps.check_bundle(last, policy, certificate)


def test_only_a_digest_is_sent(authority: Authority) -> None:
    """What leaves the machine is a SHA-256 and a random number."""
    note = "example.com/log of somebody\n4711\nroot\n"
    with authority.serving() as (url, asked):
        stamps.ask(url, note, read_authority(authority.certificate))

    assert hashlib.sha256(note.encode()).digest() in asked[0]
    assert len(asked[0]) < 80
    assert b"example" not in asked[0]


def test_a_stamp_of_one_bundle_does_not_fit_another(
    place: SqlitePlace, authority: Authority
) -> None:
    """The stamp and proof of one entry, put into another's bundle, or of a later log, are found."""
    ledger, certificate = place.ledger(), read_authority(authority.certificate)
    numbers = [ledger.record(draft()).id for _ in range(2)]
    folder = place.folder / "stamps"
    with authority.serving() as (url, _):
        stamps.keep(folder, stamps.ask(url, stamps.newest(ledger), certificate))
    bundles = [write_bundle(ledger, each, place.folder / each.hex()) for each in numbers]
    for index, bundle in enumerate(bundles):
        stamps.add_to_bundle(ledger, index, folder, bundle)
    policy = Policy.parse(place.policy.read_text())
    proof = (bundles[0] / stamps.PROOF).read_text()
    (bundles[0] / stamps.PROOF).write_text((bundles[1] / stamps.PROOF).read_text())
    with pytest.raises(IntegrityBroken):
        stamps.check_bundle(bundles[0], policy, certificate)
    ledger.record(draft())
    later = ledger.proof(0).text()
    assert later != proof
    (bundles[0] / stamps.PROOF).write_text(later)
    with pytest.raises(IntegrityBroken, match="over something else"):
        stamps.check_bundle(bundles[0], policy, certificate)


def test_nobody_answers(authority: Authority) -> None:
    """An authority that is away is unavailable; an address that is not HTTP is refused."""
    certificate = read_authority(authority.certificate)
    with pytest.raises(Unavailable):
        stamps.ask(f"http://127.0.0.1:{free_port()}", "note", certificate)
    with pytest.raises(BadRequest):
        stamps.ask("file:///etc/hostname", "note", certificate)
