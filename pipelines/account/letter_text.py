"""A letter as Markdown and as accessible HTML: language, headings, contrast, no requests."""

from __future__ import annotations

import html
from typing import Final

from pipelines.account.letter import Block, Items, Letter, Line, Paragraph, Section
from pipelines.markdown import plain

STYLE: Final = (
    "body{font:1.05rem/1.6 system-ui,sans-serif;color:#1b1b1b;background:#fff;"
    "max-width:42rem;margin:2rem auto;padding:0 1.25rem}"
    "h1{font-size:1.6rem;line-height:1.25;margin:1.5rem 0 .5rem}"
    "h2{font-size:1.15rem;margin:1.75rem 0 .4rem}p,ul,ol{margin:.4rem 0}li{margin:.25rem 0}"
    "header p,.marks p{margin:0}.marks{color:#454545}"
    "table{border-collapse:collapse;width:100%;margin:.6rem 0}"
    "caption{text-align:left;font-weight:600;padding-bottom:.3rem}"
    "th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;"
    "border-bottom:1px solid #767676}tbody th{font-weight:400}"
    "@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}"
    "tr{break-inside:avoid}}"
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def markdown(letter: Letter) -> str:
    """Return the letter as Markdown; every text is shown as it is."""
    parts = [
        "  \n".join(map(plain, letter.sender)),
        f"# {plain(letter.title)}",
        "  \n".join(map(plain, letter.marks)),
    ]
    for section in letter.sections:
        parts.append(f"## {plain(section.heading)}")
        parts += [_md_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _md_block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _md_line(block.line)
    if isinstance(block, Items):
        marks = (f"{n}. " if block.ordered else "- " for n in range(1, len(block.lines) + 1))
        return "\n".join(
            mark + _md_line(each) for mark, each in zip(marks, block.lines, strict=True)
        )
    rows = [f"| {_md_line(what)} | {_md_line(value)} |" for what, value in block.rows]
    head = f"| {plain(block.head[0])} | {plain(block.head[1])} |"
    return "\n".join([head, "| --- | --- |", *rows])


def _md_line(line: Line) -> str:
    return plain("".join(run.text for run in line))


def page(letter: Letter) -> str:
    """Return the letter as one HTML page that asks for nothing else."""
    return (
        f'<!doctype html>\n<html lang="{_html(letter.language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_html(letter.title)}</title><style>{STYLE}</style></head><body>\n"
        f"<header>{''.join(f'<p>{_html(each)}</p>' for each in letter.sender)}</header>\n"
        f"<main><h1>{_html(letter.title)}</h1>\n{body(letter)}</main></body></html>\n"
    )


def body(letter: Letter) -> str:
    """Return what stands under the letter's title, as HTML to put into another page."""
    marks = "".join(f"<p>{_html(each)}</p>" for each in letter.marks)
    sections = "".join(_section(each) for each in letter.sections)
    return f'<div class="marks">{marks}</div>\n{sections}'


def _section(section: Section) -> str:
    blocks = "".join(_html_block(block) for block in section.blocks)
    return f"<section><h2>{_html(section.heading)}</h2>{blocks}</section>\n"


def _html_block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_html_line(block.line)}</p>"
    if isinstance(block, Items):
        tag = "ol" if block.ordered else "ul"
        items = "".join(f"<li>{_html_line(each)}</li>" for each in block.lines)
        return f"<{tag}>{items}</{tag}>"
    head = "".join(f'<th scope="col">{_html(each)}</th>' for each in block.head)
    rows = "".join(
        f'<tr><th scope="row">{_html_line(what)}</th><td>{_html_line(value)}</td></tr>'
        for what, value in block.rows
    )
    caption = f"<caption>{_html(block.caption)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _html_line(line: Line) -> str:
    return "".join(
        f'<span lang="{_html(run.language)}">{_html(run.text)}</span>'
        if run.language
        else _html(run.text)
        for run in line
    )


def _html(text: str) -> str:
    return html.escape(text)
