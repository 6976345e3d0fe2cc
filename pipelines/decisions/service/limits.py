"""How much one caller may ask for, and how large a request may be."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Final

from pipelines.errors import BadRequest, Unavailable

MOST_CALLERS: Final = 10_000


class TooMuch(Unavailable):
    """The caller asked too often: wait as long as the answer says, then ask again."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests", expected=f"again in {seconds:.1f} s")
        self.seconds = seconds


class TooLarge(BadRequest):
    """The request is larger than this service reads: send less at once."""


class NotJson(BadRequest):
    """The request is not JSON as this service reads it: see its OpenAPI page."""


class WrongMedia(BadRequest):
    """The request does not say that it is JSON: send ``Content-Type: application/json``."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A token bucket for each caller: `rate` a second for long, `burst` at once."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str, count: int = 1) -> None:
        """Take `count` tokens of a caller. Raises TooMuch when there are not so many.

        A count beyond the burst is let through once the bucket is full, and paid off afterwards.
        """
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(self._burst, now)
        self._buckets[caller] = bucket
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        needed = min(count, self._burst)
        if bucket.tokens < needed:
            raise TooMuch((needed - bucket.tokens) / self._rate)
        bucket.tokens -= count


async def read_body(chunks: AsyncIterable[bytes], declared: str | None, largest: int) -> bytes:
    """Return a request's body, reading no more than `largest` bytes. Raises TooLarge."""
    if declared is not None and declared.isdecimal() and int(declared) > largest:
        raise _too_large(largest)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > largest:
            raise _too_large(largest)
    return bytes(body)


def _too_large(largest: int) -> TooLarge:
    return TooLarge("the request is too large", expected=f"at most {largest} bytes")
