"""A real timestamp authority for tests: `openssl ts` behind a small HTTP server on loopback."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.system import require

DAY = dt.timedelta(days=1)
CONFIG = """
[tsa]
dir = {folder}
serial = $dir/serial
crypto_device = builtin
signer_cert = $dir/authority.pem
signer_key = $dir/authority.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
ess_cert_id_chain = no
ess_cert_id_alg = {names}
"""


@dataclass
class Authority:
    """An authority in a folder of its own: key, certificate, and what `openssl ts` needs."""

    folder: Path
    kind: str = "rsa"
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING
    names: str = "sha256"
    digest: str = "sha256"
    valid: tuple[int, int] = (-1, 1)

    def __post_init__(self) -> None:
        require(shutil.which("openssl"), "openssl")
        self.folder.mkdir()
        rest = {"folder": self.folder, "digest": self.digest, "names": self.names}
        (self.folder / "tsa.cnf").write_text(CONFIG.format(**rest))
        (self.folder / "serial").write_text("01\n")
        key = rsa.generate_private_key(65537, 2048) if self.kind == "rsa" else None
        made = key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"TSA {self.folder.name}")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, made.public_key(), x509.random_serial_number())
            .not_valid_before(now + self.valid[0] * DAY)
            .not_valid_after(now + self.valid[1] * DAY)
            .add_extension(x509.ExtendedKeyUsage([self.use]), critical=True)
            .sign(made, hashes.SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.folder / "authority.key").write_bytes(secret)

    @property
    def certificate(self) -> Path:
        return self.folder / "authority.pem"

    def openssl(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return self.run("ts", *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run OpenSSL in the folder."""
        command = ["openssl", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=False)

    def stamp(self, query: bytes) -> bytes:
        """Return the answer to a query, a refusal where it cannot be stamped."""
        (self.folder / "query").write_bytes(query)
        words = ("-reply", "-config", "tsa.cnf", "-section", "tsa")
        done = self.openssl(*words, "-queryfile", "query", "-out", "answer")
        assert 0 == done.returncode, done.stderr.decode()
        return (self.folder / "answer").read_bytes()

    def accepts(self, answer: bytes, stamped: bytes) -> bool:
        """Return whether OpenSSL itself takes an answer for this authority's over these bytes."""
        (self.folder / "shown").write_bytes(answer)
        (self.folder / "stamped").write_bytes(stamped)
        words = ("-verify", "-data", "stamped", "-in", "shown", "-CAfile", "authority.pem")
        return 0 == self.openssl(*words).returncode

    @contextmanager
    def serving(self) -> Iterator[tuple[str, list[bytes]]]:
        """Serve it; give its address and the queries that it got."""
        asked: list[bytes] = []
        authority = self

        class Handler(BaseHTTPRequestHandler):
            """Stamps what is posted."""

            def do_POST(self) -> None:
                asked.append(self.rfile.read(int(self.headers["Content-Length"])))
                answer = authority.stamp(asked[-1])
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
