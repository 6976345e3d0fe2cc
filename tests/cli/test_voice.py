"""How results look on a terminal and elsewhere."""

from __future__ import annotations

from pipelines.cli.voice import table

ROWS = [
    {"version": "1", "reason": "it is better than the one before it", "verdict_id": "a" * 64},
    {"version": "2", "reason": "-", "verdict_id": "b" * 64},
]


def test_a_table_that_fits_is_one_line_a_row() -> None:
    """Without a width, or with enough of it, nothing is folded."""
    lines = table(ROWS)
    assert 4 == len(lines)
    assert lines == table(ROWS, 120)
    assert f"2        -                                    {'b' * 64}" == lines[3]


def test_a_table_is_folded_to_a_terminal() -> None:
    """At 80 columns no line is longer, nothing is lost, and columns stay under their names."""
    lines = table(ROWS, 80)
    assert max(map(len, lines)) <= 80
    body = "".join("".join(line.split()) for line in lines)
    assert all(body.count(sign) >= 64 for sign in "ab")
    starts = [line.index(word) for line, word in ((lines[0], "verdict_id"), (lines[-1], "b"))]
    assert starts[0] == starts[1]


def test_columns_are_not_folded_to_nothing() -> None:
    """In a window too narrow for its columns the table overflows, and is still read."""
    lines = table([{f"column {n}": "words and words and words" for n in range(9)}], 20)
    assert "words and" in lines[2]
