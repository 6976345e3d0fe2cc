"""A watch that did not run when it should have: which windows were due, which were watched."""

from __future__ import annotations

import datetime as dt
from typing import Final

from pipelines.errors import BadRequest
from pipelines.layout import Watched
from pipelines.params import Params
from pipelines.watch.findings import Finding
from pipelines.watch.window import Window, between, parse

CHECK: Final = "not-watched"
BACK: Final = 12
NAMES: Final = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}


def named(text: str) -> Window:
    """Return a window by name, or two moments in ISO 8601 with a ``/`` between. BadRequest."""
    start, sign, end = text.partition("/")
    return between(start, end) if sign else parse(text)


def last_whole(period: str, moment: dt.datetime) -> Window:
    """Return the last day, ISO week or month that had ended at `moment`, in UTC."""
    now = moment.astimezone(dt.UTC)
    current = parse(now.strftime(NAMES[period]))
    return parse((current.start - dt.timedelta(seconds=1)).strftime(NAMES[period]))


def due(params: Params, now: dt.datetime) -> Window:
    """Return the window that a watch should have watched by `now`, its grace allowed for.

    Raises BadRequest for a cron that is none.
    """
    from croniter import CroniterBadCronError, croniter

    cron = params.schedules.watch_decisions
    allowed = now.astimezone(dt.UTC) - dt.timedelta(hours=params.watch.late_hours)
    try:
        fired = croniter(cron, allowed).get_prev(dt.datetime)
    except CroniterBadCronError:
        raise BadRequest(
            "not a cron expression",
            where="params.yaml: schedules.watch_decisions",
            observed=cron,
            expected="five fields, like 0 5 1 * *",
        ) from None
    return last_whole(params.watch.period, fired)


def missed(
    params: Params, files: Watched, now: dt.datetime, first: int | None
) -> tuple[Finding, ...]:
    """Return a finding for each window that was due and not watched, the last one first.

    `first` is when the first record was made (ms since 1970; None: there is none): a window that
    ended before it had nothing to watch. No more than `BACK` windows are looked at.
    """
    found: list[Finding] = []
    window = due(params, now)
    for _ in range(BACK):
        if not recorded(window, first):
            break
        if not watched(files, window):
            found.append(_finding(window, window.start.strftime(NAMES[params.watch.period])))
        window = last_whole(params.watch.period, window.start)
    return tuple(found)


def recorded(window: Window, first: int | None) -> bool:
    """Tell whether the first record, made at `first`, is older than the end of a window."""
    return first is not None and first < int(window.end.timestamp() * 1000)


def watched(files: Watched, window: Window) -> bool:
    """Tell whether a window was watched after its end; what was watched before it is a part."""
    path = files.newest(window.name)
    return path.is_file() and path.stat().st_mtime >= window.end.timestamp()


def _finding(window: Window, name: str) -> Finding:
    return Finding(
        check=CHECK,
        of=window.name,
        measure="in time",
        status="error",
        said=f"the window {name} was not watched: clew watch --window {name}",
        action="alert",
    )
