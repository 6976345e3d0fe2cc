"""Tell people: one message a finding and target, once, and never a person's data.

Where the params ask for a digest, that many findings or more go to a target in one message; each
is kept as told all the same. A process that is killed between sending a message and keeping that
it was sent has it sent again by the next: told twice rather than never.

What could not be delivered is kept, shown by the next report and `clew doctor`, and makes the task
red. That nobody is named to be told is such a failure too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest, ClewError, NotThere, Unavailable
from pipelines.ports import AlertTarget
from pipelines.watch.deeds import Deed, Journal
from pipelines.watch.findings import ACTIONS, WORST_FIRST, Finding, WatchReport
from pipelines.watch.places import window_of

CHECK: Final = "alert-undelivered"
NOBODY: Final = "nobody"
OTHERS: Final = 0o077
COUNTED: Final = ("sent", "before", "failed")


@dataclass(frozen=True, slots=True)
class Message:
    """One alert, as it is sent."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How many findings were told now, were told before, and could not be told, of all targets."""

    sent: int
    before: int
    failed: int


def urls(file: Path) -> tuple[str, ...]:
    """Read the targets of a secret file: an Apprise URL a line, ``#`` before a comment.

    A file that is not there names nobody. Raises BadRequest where others may read it.
    """
    if not file.is_file():
        return ()
    mode = file.stat().st_mode & 0o777
    if mode & OTHERS:
        raise BadRequest(
            "others can read where alerts go",
            where=str(file),
            observed=f"mode {mode:o}",
            expected="mode 600",
            hint=f"chmod 600 {file}",
        )
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def asked(made: WatchReport) -> tuple[Finding, ...]:
    """Return the findings that people are told of: all that ask for anything."""
    return tuple(each for each in made.alarms if each.action != "none")


def message(made: WatchReport, found: Finding, link: str) -> Message:
    """Return what is said of one finding: value, bound, window, and where the report is."""
    figures = (
        ("value", found.value),
        ("bound", found.bound),
        ("chance alone", found.floor),
        ("corrected p", found.p_adjusted),
    )
    lines = [
        found.said,
        *(f"{name}: {value:.4g}" for name, value in figures if value is not None),
        f"people: {found.n}",
        f"window: {window_of(made).name}",
        f"model: {made.model_name} version {made.version}",
        f"what is done: {found.action}",
        f"report: {link}",
    ]
    return Message(f"Clew: {found.status}: {found.key}", "\n".join(lines))


def digest(made: WatchReport, found: Sequence[Finding], link: str) -> Message:
    """Return what is said of many findings at once, the weightiest first."""
    lines = [_line(each) for each in sorted(found, key=weight)]
    about = [
        f"window: {window_of(made).name}",
        f"model: {made.model_name} version {made.version}",
        f"report: {link}",
    ]
    return Message(f"Clew: {len(found)} findings of the watch", "\n".join([*about, "", *lines]))


def weight(found: Finding) -> tuple[int, int, float]:
    """Return what sorts findings: what could not be watched, then by what is done, then how far.

    How far is the value in multiples of its bound.
    """
    far = abs(found.value / found.bound) if found.value is not None and found.bound else 0.0
    return WORST_FIRST.index(found.status), -ACTIONS.index(found.action), -far


def _line(found: Finding) -> str:
    value, bound = ("-" if each is None else f"{each:.4g}" for each in (found.value, found.bound))
    return f"{found.status}: {found.key}: {value}, bound {bound}, people {found.n}: {found.action}"


def failure(what: str, window: str, link: str) -> Message:
    """Return what is said when the watch itself did not come to an end."""
    lines = (what, f"window: {window}", f"report: {link}" if link else "there is no report")
    return Message("Clew: the watch failed", "\n".join(lines))


def deliver(
    made: WatchReport,
    journal: Journal,
    targets: Sequence[AlertTarget],
    link: str,
    besides: Sequence[Finding] = (),
    digest_from: int | None = None,
) -> Delivery:
    """Tell every target what it was not told before, and keep what came of it.

    `besides` are findings about the watch itself. From `digest_from` findings on a target is sent
    one message that lists them. All are tried before anything is raised: Unavailable where one
    could not be reached, NotThere where nobody is named.
    """
    found = (*asked(made), *besides)
    with journal.alone():
        if found and not targets:
            _nobody(made, journal, found)
        done = [_tell(made, journal, found, each, link, digest_from) for each in targets]
    told = Delivery(*(sum(getattr(each, name) for each in done) for name in COUNTED))
    if told.failed:
        raise Unavailable(
            "alerts could not be delivered",
            where=window_of(made).name,
            observed=f"{told.failed} of {len(found) * len(targets)} undelivered",
            expected="every one delivered",
            hint="clew doctor",
        )
    return told


def _nobody(made: WatchReport, journal: Journal, found: Iterable[Finding]) -> None:
    for each in found:
        journal.note("alert", made, each.key, done=False, said="nobody is named", target=NOBODY)
    raise NotThere(
        "nobody is named to be told of an alarm",
        where=window_of(made).name,
        expected="an Apprise URL a line in the file of alert targets",
        hint="docs/how-to/watch.md: Alerts",
    )


def _tell(
    made: WatchReport,
    journal: Journal,
    found: Sequence[Finding],
    target: AlertTarget,
    link: str,
    digest_from: int | None,
) -> Delivery:
    """Tell one target what it was not told before."""
    name = target_digest(target.url)
    fresh = [each for each in found if not journal.did("alert", made, each.key, name)]
    parts = [(message(made, each, link), [each]) for each in fresh]
    if digest_from is not None and len(fresh) >= max(digest_from, 1):
        parts = [(digest(made, fresh, link), fresh)]
    sent = 0
    for text, some in parts:
        said = _sent(target, text)
        for each in some:
            done, words = said is None, said or "delivered"
            journal.note("alert", made, each.key, done=done, said=words, target=name)
            sent += done
    return Delivery(sent, len(found) - len(fresh), len(fresh) - sent)


def _sent(target: AlertTarget, text: Message) -> str | None:
    """Send a message; return why it was not delivered, None where it was."""
    try:
        target.send(text.title, text.body)
    except ClewError as error:
        return error.what
    return None


def target_digest(url: str) -> str:
    """Return what stands for a target where its URL, which is a secret, must not."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def undelivered(journals: Iterable[tuple[str, Journal]]) -> Iterator[Finding]:
    """Yield a finding a window, of journals by window, whose alerts did not reach somebody."""
    for window, journal in journals:
        missed = [each for each in journal.failed() if counts(each, journal)]
        if missed:
            said = f"{len(missed)} alerts of the window {window} were not delivered"
            yield Finding(
                check=CHECK,
                of=window,
                measure="count",
                status="error",
                said=f"{said}: {missed[-1].said}",
                value=len(missed),
                bound=0,
                action="alert",
            )


def counts(missed: Deed, journal: Journal) -> bool:
    """Tell whether an alert that failed is still owed: nobody named is mended by somebody told."""
    if missed.what != "alert":
        return False
    told = {each.finding for each in journal.all() if each.what == "alert" and each.done}
    return missed.target != NOBODY or missed.finding not in told
