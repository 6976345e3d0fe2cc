"""The command line's voice: results, notes, errors, plans. Every message sounds the same."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final

import click

from pipelines.canonical import CONTROL
from pipelines.errors import BadRequest, ClewError
from pipelines.typed import plain

NARROW: Final = 12  # columns of text: no narrower than that is one folded
GAP: Final = "\ufffd"  # for a control sign


def result(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print the result: one JSON document, or a table whose columns are the rows' keys.

    On a terminal the table is folded to its width; elsewhere every row is one line.
    """
    if as_json:
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False))
    elif rows:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in table(rows, width):
            click.echo(line)


def record(value: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing: a JSON object, or one line a field."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    width = max(map(len, value), default=0)
    for key, item in value.items():
        click.echo(f"{key:<{width}}  {_line(item)}")


def _line(item: object) -> str:
    """Return a value on one line; what has parts as JSON."""
    if item is None:
        return "-"
    parts = isinstance(item, (dict, list, tuple))
    text = json.dumps(item, ensure_ascii=False, default=str) if parts else str(item)
    return CONTROL.sub(GAP, text)


def table(rows: Sequence[Mapping[str, object]], width: int | None = None) -> list[str]:
    """Return rows as aligned lines of text with a heading.

    Where `width` is given and too small, the widest columns are folded until the table fits, or
    until none is wider than NARROW.
    """
    names = list(rows[0])
    cells = [names, *[[_cell(row.get(name)) for name in names] for row in rows]]
    widths = [max(len(row[number]) for row in cells) for number in range(len(names))]
    while width and sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > NARROW:
        widths[widths.index(max(widths))] -= 1
    rule = "  ".join("-" * each for each in widths)
    head, *body = [_folded(row, widths) for row in cells]
    return [line.rstrip() for line in chain(head, [rule], *body)]


def _folded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return one row as the lines it takes in columns of these widths."""
    columns = [
        [cell] if len(cell) <= width else textwrap.wrap(cell, width, break_on_hyphens=False)
        for cell, width in zip(row, widths, strict=True)
    ]
    return [
        "  ".join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True))
        for parts in zip_longest(*columns, fillvalue="")
    ]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return CONTROL.sub(GAP, str(value))


def tell(**answer: object) -> None:
    """Print a task's answer: one line of JSON, the last on stdout."""
    click.echo(json.dumps(plain(answer), ensure_ascii=False))


def note(text: str) -> None:
    """Say something that is not the result."""
    click.echo(text, err=True)


def progress(done: int, of: int, text: str) -> None:
    """Say which step runs."""
    note(f"[{done}/{of}] {text}")


def plan(lines: Sequence[str]) -> None:
    """Show what will be done."""
    for line in lines:
        note(f"  {line}")


def confirm(lines: Sequence[str], *, yes: bool) -> None:
    """Show what will be done; without ``--yes`` ask on a terminal, and refuse elsewhere."""
    plan(lines)
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadRequest(
            "this changes what decides about people",
            observed="nobody to ask",
            hint="the same command with --yes",
        )
    click.confirm("Go on?", abort=True, err=True)


def fail(error: ClewError) -> int:
    """Print an error with its hint on stderr and return its exit code."""
    text = str(error)
    if text:
        note(f"clew: {text}")
    return error.exit_code
