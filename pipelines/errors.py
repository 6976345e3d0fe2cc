"""One tree of errors, grouped by what the caller can do about them.

The class gives the exit code of a command, the status of an HTTP answer and whether an Airflow
task is tried again. A message names what was refused, where, what was observed, what was
expected and the next command. It never carries a value out of a person's record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

FAILURES_SHOWN = 10
ROWS_SHOWN = 5


class ClewError(Exception):
    """A bug in Clew: report it; trying again will not help."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        observed: object = None,
        expected: object = None,
        hint: str = "",
    ) -> None:
        self.what = what
        self.where = where
        self.observed = observed
        self.expected = expected
        self.hint = hint
        super().__init__(what)

    def lines(self) -> list[str]:
        """Return the message line by line, without the hint."""
        head = f"{self.what} ({self.where})" if self.where else self.what
        lines = [head]
        if self.observed is not None:
            lines.append(f"  observed: {self.observed}")
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        return lines

    def __str__(self) -> str:
        hint = [f"  next: {self.hint}"] if self.hint else []
        return "\n".join(self.lines() + hint)


class BadRequest(ClewError):
    """The request cannot be carried out as asked: change it and ask again."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """One rule that data broke: the rule, the column, how many rows, and the first row numbers."""

    rule: str
    column: str
    count: int
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(str(row) for row in self.rows[:ROWS_SHOWN])
        more = ", …" if self.count > ROWS_SHOWN else ""
        rows = f" (rows {shown}{more})" if shown else ""
        return f"{self.column}: {self.rule}: {self.count}{rows}"


class DataRefused(ClewError):
    """Data broke its contract: mend the source or the contract, then land it again."""

    exit_code = 3

    def __init__(self, what: str, *, failures: Sequence[Failure] = (), **context: object) -> None:
        super().__init__(what, **context)  # type: ignore[arg-type]
        self.failures = tuple(failures)

    def lines(self) -> list[str]:
        shown = [f"  - {failure}" for failure in self.failures[:FAILURES_SHOWN]]
        hidden = len(self.failures) - len(shown)
        return super().lines() + shown + ([f"  - and {hidden} more"] if hidden > 0 else [])


class GateRefused(ClewError):
    """The gate said no. That is a verdict, not a fault: read it; do not try again."""

    exit_code = 4


class IntegrityBroken(ClewError):
    """Something is not what its digest says: stop, keep everything as it is, wake someone."""

    exit_code = 5


class Unavailable(ClewError):
    """Something needed did not answer: try again later. It says nothing of what is in there."""

    exit_code = 6
    retryable = True


class NotThere(ClewError):
    """The service answered, and the thing asked for does not exist."""

    exit_code = 7


class Erased(ClewError):
    """It existed and was erased on purpose: show the tombstone, not an error page."""

    exit_code = 8


TREE = (
    BadRequest,
    DataRefused,
    GateRefused,
    IntegrityBroken,
    Unavailable,
    NotThere,
    Erased,
)


def by_exit_code(code: int) -> type[ClewError]:
    """Return the error class that ends a process with `code`; a bug for any other code."""
    kinds = {kind.exit_code: kind for kind in TREE}
    return kinds.get(code, ClewError)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the closest known name, or an empty string."""
    close = get_close_matches(wrong, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else ""
