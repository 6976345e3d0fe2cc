"""The command line's voice: results, notes, errors, plans. Every message sounds the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from pipelines.canonical import CONTROL
from pipelines.errors import ClewError
from pipelines.typed import plain

GAP: Final = "\ufffd"  # for a control sign


def result(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print the result: one JSON document, or a table whose columns are the rows' keys."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False))
    elif rows:
        for line in table(rows):
            click.echo(line)


def record(value: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing: a JSON object, or one line a field."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    width = max(map(len, value), default=0)
    for key, item in value.items():
        click.echo(f"{key:<{width}}  {'-' if item is None else CONTROL.sub(GAP, str(item))}")


def table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return rows as aligned lines of text with a heading."""
    names = list(rows[0])
    cells = [names, *[[_cell(row.get(name)) for name in names] for row in rows]]
    widths = [max(len(row[number]) for row in cells) for number in range(len(names))]
    lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)) for row in cells]
    rule = "  ".join("-" * width for width in widths)
    return [line.rstrip() for line in [lines[0], rule, *lines[1:]]]


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
        raise click.UsageError("this changes what decides about people: add --yes to go on")
    click.confirm("Go on?", abort=True, err=True)


def fail(error: ClewError) -> int:
    """Print an error with its hint on stderr and return its exit code."""
    text = str(error)
    if text:
        note(f"clew: {text}")
    return error.exit_code
