"""The picture of a validation: missing values and ranges by column, as SVG and as one page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from pipelines.contract import Column, Contract
from pipelines.data import files
from pipelines.data.result import Broken, ColumnResult, Validation
from pipelines.layout import Layout

LINE, NAMES, BAR, STRIP, GAP, TOP = 18, 190, 220, 300, 90, 44
WIDTH = NAMES + BAR + GAP + STRIP + GAP + GAP
STYLE = "font:12px system-ui,sans-serif;color:#222;max-width:1100px;margin:2em auto;padding:0 1em"


def svg(result: Validation, contract: Contract) -> str:
    """Draw one line a column: share of missing values; accepted range within the declared one."""
    height = TOP + LINE * len(result.columns) + LINE
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(NAMES, 16, "missing values, share of all rows", bold=True),
        _text(NAMES + BAR + GAP, 16, "range of accepted numbers in the declared range", bold=True),
        _text(NAMES, 32, "0 to 100 %; the red mark is the most that is allowed"),
        _text(NAMES + BAR + GAP, 32, "grey: declared; blue: accepted; no bound: dashed"),
    ]
    for place, found in enumerate(result.columns):
        top = TOP + LINE * place
        column = contract.column(found.name)
        lines += [_text(4, top + 12, found.name), *_missing(found, column, top)]
        lines += _range(found, column, top)
    return "\n".join([*lines, "</svg>\n"])


def _text(left: float, top: float, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{left:.1f}" y="{top:.1f}" fill="#222"{weight}>{escape(words)}</text>'


def _bar(left: float, top: float, width: float, colour: str, more: str = "") -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(width, 0.0):.1f}" height="10" '
        f'fill="{colour}"{more}/>'
    )


def _missing(found: ColumnResult, column: Column, top: float) -> list[str]:
    lines = [
        _bar(NAMES, top + 3, BAR, "#eee"),
        _bar(NAMES, top + 3, BAR * found.missing_share, "#c77"),
        _text(NAMES + BAR + 6, top + 12, f"{found.missing_share:.1%}"),
    ]
    if column.max_missing_share is not None:
        mark = NAMES + BAR * min(column.max_missing_share, 1.0)
        lines.append(_bar(mark, top + 1, 1.5, "#b00"))
    return lines


def _range(found: ColumnResult, column: Column, top: float) -> list[str]:
    if found.minimum is None or found.maximum is None:
        return []
    low = found.minimum if column.minimum is None else column.minimum
    high = found.maximum if column.maximum is None else column.maximum
    scale = STRIP / (high - low) if high > low else 0.0
    left = NAMES + BAR + GAP
    open_end = column.minimum is None or column.maximum is None
    dashed = ' stroke="#999" stroke-dasharray="3 2"' if open_end else ""
    start = left + (found.minimum - low) * scale
    return [
        _bar(left, top + 3, STRIP, "#e4e4e4", dashed),
        _bar(start, top + 3, max((found.maximum - found.minimum) * scale, 2.0), "#58a"),
        _text(left + STRIP + 6, top + 12, f"{found.minimum:g} to {found.maximum:g}"),
    ]


def page(result: Validation, contract: Contract) -> str:
    """Return a page that needs no other file: the verdict, the broken rules, the picture."""
    verdict = "; ".join(result.blocked) or "may go on"
    counts = f"{result.rows} rows: {result.accepted} accepted, {result.refused} refused"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>Validation of {escape(contract.name)}</title></head>",
            f'<body style="{STYLE}"><h1>Validation of {escape(contract.name)}</h1>',
            f"<p><strong>{escape(verdict)}</strong></p><p>{counts}.</p>",
            _table("Broken rules of the table", result.table),
            _table("Rules that rows broke", result.broken),
            "<h2>Missing values and ranges</h2>",
            svg(result, contract),
            "</body></html>\n",
        ]
    )


def _table(title: str, broken: Iterable[Broken]) -> str:
    rows = [
        f"<tr><td>{escape(each.column or 'table')}</td><td>{escape(each.rule)}</td>"
        f"<td>{each.count}</td><td>{', '.join(map(str, each.rows))}</td></tr>"
        for each in broken
    ]
    if not rows:
        return f"<h2>{title}</h2><p>none</p>"
    head = "<tr><th>column</th><th>rule</th><th>count</th><th>first rows</th></tr>"
    return f'<h2>{title}</h2><table cellpadding="4">{head}{"".join(rows)}</table>'


def write(result: Validation, contract: Contract, layout: Layout) -> None:
    """Write the picture and the page."""
    files.validation_picture(layout).write_text(svg(result, contract), encoding="utf-8")
    files.validation_page(layout).write_text(page(result, contract), encoding="utf-8")
