"""RFC 3161 timestamps over checkpoints: a third party's word for when the log was this long.

A record's time is the operator's claim. A timestamp authority (TSA) that signs the digest of a
checkpoint bounds it: everything up to that size was in the log at that time. Whoever checks brings
the authority's own certificate; a chain to a root is not followed. `openssl ts -verify` checks the
same files.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger import der

GRANTED: Final = (0, 1)  # as asked, or with changes that are checked here
SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
CONTENT_TYPE: Final = bytes.fromhex("2a864886f70d010903")
MESSAGE_DIGEST: Final = bytes.fromhex("2a864886f70d010904")
SIGNING_CERTIFICATE: Final = bytes.fromhex("2a864886f70d010910020c")
SIGNING_CERTIFICATE_V2: Final = bytes.fromhex("2a864886f70d010910022f")
SHA256: Final = bytes.fromhex("608648016503040201")
HASHES: Final[dict[bytes, hashes.HashAlgorithm]] = {
    SHA256: hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}


def request(stamped: bytes, nonce: int) -> bytes:
    """Return a TimeStampReq (RFC 3161, 2.4.1) over the SHA-256 of `stamped`."""
    algorithm = der.write(der.SEQUENCE, der.write(der.OID, SHA256), der.write(der.NULL))
    digest = der.write(der.OCTETS, hashlib.sha256(stamped).digest())
    return der.write(
        der.SEQUENCE,
        der.integer(1),
        der.write(der.SEQUENCE, algorithm, digest),
        der.integer(nonce),
        der.write(der.BOOLEAN, b"\xff"),
    )


def verify(
    answer: bytes, stamped: bytes, authority: x509.Certificate, nonce: int | None = None
) -> datetime:
    """Return when `authority` stamped these bytes. Raises IntegrityBroken for anything else.

    Checked as RFC 3161 (2.4.2) and RFC 5652 (5.4) say: what is stamped, the nonce where one is
    given, the signature over the signed attributes, the certificate they name, and that it is one
    for timestamps and was valid then.
    """
    try:
        info, signer = opened(answer)
        _check_signature(info, signer, authority)
        return _check_info(der.read(info), stamped, authority, nonce)
    except (IndexError, KeyError, ValueError) as error:
        raise IntegrityBroken("not a timestamp that can be read") from error


def opened(answer: bytes) -> tuple[bytes, list[der.Element]]:
    """Return the TSTInfo of a TimeStampResp and the parts of its one SignerInfo."""
    status, *token = der.read(answer).must(der.SEQUENCE).parts()
    said = int.from_bytes(status.parts()[0].must(der.INTEGER).content)
    if said not in GRANTED or not token:
        raise IntegrityBroken("the authority granted no timestamp", observed=f"status {said}")
    kind, wrapped = token[0].parts()
    _must(kind.content == SIGNED_DATA, "it is no signed data")
    parts = wrapped.parts()[0].must(der.SEQUENCE).parts()
    inner, content = parts[2].parts()
    _must(inner.content == TST_INFO, "what is signed is no timestamp")
    signers = parts[-1].must(der.SET).parts()
    _must(len(signers) == 1, "it has not one signer")
    return content.parts()[0].must(der.OCTETS).content, signers[0].parts()


def _check_signature(info: bytes, signer: list[der.Element], authority: x509.Certificate) -> None:
    digest, attributes, _, signature = signer[2:6]
    algorithm = HASHES.get(digest.parts()[0].content)
    if algorithm is None:
        raise IntegrityBroken("a timestamp under a digest that is not trusted")
    attributes.must(0xA0)
    named = dict(_attribute(each) for each in attributes.parts())
    _must(len(named) == len(attributes.parts()), "an attribute stands in it twice")
    _must(named[CONTENT_TYPE].content == TST_INFO, "what is signed is no timestamp")
    whole = hashes.Hash(algorithm)
    whole.update(info)
    _must(named[MESSAGE_DIGEST].content == whole.finalize(), "its content was changed")
    _must(_names(named, authority), "another certificate signed it")
    signed = der.write(der.SET, attributes.content)
    try:
        _verify(authority, signature.must(der.OCTETS).content, signed, algorithm)
    except InvalidSignature:
        raise IntegrityBroken("a timestamp that this authority did not sign") from None


def _attribute(element: der.Element) -> tuple[bytes, der.Element]:
    kind, values = element.parts()
    return kind.must(der.OID).content, values.parts()[0]


def _names(named: dict[bytes, der.Element], authority: x509.Certificate) -> bool:
    """Return whether the signed attributes name this certificate (RFC 5816, RFC 2634)."""
    certificate = authority.public_bytes(serialization.Encoding.DER)
    if SIGNING_CERTIFICATE_V2 in named:
        first = named[SIGNING_CERTIFICATE_V2].parts()[0].parts()[0].parts()
        algorithm: hashes.HashAlgorithm | None = hashes.SHA256()
        if first[0].tag == der.SEQUENCE:
            algorithm = HASHES.get(first[0].parts()[0].content)
            first = first[1:]
    elif SIGNING_CERTIFICATE in named:
        first = named[SIGNING_CERTIFICATE].parts()[0].parts()[0].parts()
        algorithm = hashes.SHA1()  # noqa: S303 - it names a certificate that is trusted already
    else:
        return False
    if algorithm is None:
        return False
    whole = hashes.Hash(algorithm)
    whole.update(certificate)
    return first[0].must(der.OCTETS).content == whole.finalize()


def _verify(
    authority: x509.Certificate, signature: bytes, signed: bytes, algorithm: hashes.HashAlgorithm
) -> None:
    key = authority.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(algorithm))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, signed)
    else:
        raise IntegrityBroken("a kind of key that is not known", expected="RSA, ECDSA or Ed25519")


def _check_info(
    info: der.Element, stamped: bytes, authority: x509.Certificate, nonce: int | None
) -> datetime:
    _, _, imprint, _, time, *others = info.must(der.SEQUENCE).parts()
    algorithm, digest = imprint.parts()
    same = algorithm.parts()[0].content == SHA256
    same = same and digest.content == hashlib.sha256(stamped).digest()
    _must(same, "it is over something else")
    numbers = [each.content for each in others if each.tag == der.INTEGER]
    _must(nonce is None or numbers == [der.read(der.integer(nonce)).content], "it is another's")
    text = time.must(der.TIME).content.decode("ascii")
    form = "%Y%m%d%H%M%S.%fZ" if "." in text else "%Y%m%d%H%M%SZ"
    at = datetime.strptime(text, form).replace(tzinfo=UTC)
    valid = authority.not_valid_before_utc <= at <= authority.not_valid_after_utc
    _must(valid, "the certificate was not valid then")
    return at


def _must(right: bool, wrong: str) -> None:
    if not right:
        raise IntegrityBroken(f"not this authority's timestamp of this checkpoint: {wrong}")


def read_authority(path: Path) -> x509.Certificate:
    """Read an authority's certificate, PEM or DER. Raises BadRequest when it is no such one."""
    data = path.read_bytes()
    load = x509.load_pem_x509_certificate if b"-----" in data else x509.load_der_x509_certificate
    try:
        found = load(data)
        use = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        right = use.critical and list(use.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    except (ValueError, x509.ExtensionNotFound):
        right = False
    if not right:
        raise BadRequest(
            "not the certificate of a timestamp authority",
            where=str(path),
            expected="the one that signs, for timeStamping alone (RFC 3161, 2.3)",
        )
    return found
