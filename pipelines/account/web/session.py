"""Who is logged in: a signed cookie that lasts a working day, and the token its forms must carry.

The signing key lives in this process alone: there is no file of it to guard, and a restart logs
everybody out. A cookie names the key it was opened with by its hash, so a revoked key ends it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pipelines.decisions.service.api_keys import (
    LOCAL,
    ApiKey,
    ApiKeys,
    NotAllowed,
    NotKnown,
    needed,
)

COOKIE: Final = "clew_session"
SECONDS: Final = 8 * 3600
NONCE_BYTES: Final = 16


class Session(msgspec.Struct, frozen=True, array_like=True):
    """One login: the hash of its key (empty without keys), when it ends, and its own number."""

    key_sha256: str
    until: float
    nonce: str


@dataclass(slots=True)
class Sessions:
    """Opens, reads and ends sessions. Without `keys` everybody on this machine is `LOCAL`."""

    keys: ApiKeys | None
    clock: Callable[[], float] = time.time
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _ended: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, key: str = "") -> tuple[str, Session]:
        """Return the cookie of a new session. Raises NotKnown for a key that nobody holds."""
        keys = needed(self.keys)
        found = keys.caller(f"Bearer {key}") if keys else LOCAL
        until = self.clock() + SECONDS
        session = Session(found.sha256, until, secrets.token_hex(NONCE_BYTES))
        data = base64.urlsafe_b64encode(msgspec.json.encode(session)).decode()
        return f"{data}.{self._sign('session', data)}", session

    def read(self, cookie: str | None) -> tuple[Session, ApiKey]:
        """Return the session of a cookie and whose it is. Raises NotKnown."""
        data, _, signature = (cookie or "").partition(".")
        if not hmac.compare_digest(self._sign("session", data).encode(), signature.encode()):
            raise _log_in()
        session = msgspec.json.decode(base64.urlsafe_b64decode(data), type=Session)
        if session.until <= self.clock() or session.nonce in self._ended:
            raise _log_in()
        keys = needed(self.keys)
        return session, keys.holder(session.key_sha256) if keys else LOCAL

    def end(self, session: Session) -> None:
        """End a session: its cookie, and every copy of it, opens nothing any more."""
        with self._lock:
            now = self.clock()
            self._ended = {nonce: at for nonce, at in self._ended.items() if at > now}
            self._ended[session.nonce] = session.until

    def token(self, session: Session) -> str:
        """Return what a form of this session must carry, so that no other site can send it."""
        return self._sign("form", session.nonce)

    def check_token(self, session: Session, token: str) -> None:
        """Raise NotAllowed for a form that did not come out of this session's own pages."""
        if not hmac.compare_digest(self.token(session).encode(), token.encode()):
            raise NotAllowed("this form is not from this session: open the page again")

    def _sign(self, use: str, text: str) -> str:
        return hmac.new(self._secret, f"{use}\n{text}".encode(), hashlib.sha256).hexdigest()


def _log_in() -> NotKnown:
    return NotKnown("log in first", where="cookie")
