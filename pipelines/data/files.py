"""The files inside the folders that the data steps write; the folders stand in `layout`."""

from __future__ import annotations

from pathlib import Path

from pipelines.layout import Layout

ROW = "_row"
PLACE = ("_file", "_line", "_whole", "_extra")


def landed_without(layout: Layout) -> Path:
    """Return the path of the counts of rows left out of a landing; it is there if any were."""
    return layout.landed / "without.json"


def valid_part(layout: Layout, number: int) -> Path:
    """Return the path of one chunk of accepted rows."""
    return layout.valid / f"part-{number:05d}.parquet"


def valid_parts(layout: Layout) -> list[Path]:
    """Return the chunks of accepted rows, in order."""
    return sorted(layout.valid.glob("part-*.parquet"))


def refused_rows(layout: Layout) -> Path:
    """Return the path of the refused rows: raw, as text."""
    return layout.refused / "refused.parquet"


def refused_summary(layout: Layout) -> Path:
    """Return the path of the counts of refused rows by rule and column."""
    return layout.refused / "refused.json"


def validation(layout: Layout) -> Path:
    """Return the path of the result of `validate`."""
    return layout.validation_report / "validation.json"


def validation_picture(layout: Layout) -> Path:
    """Return the path of the picture of missing values and ranges."""
    return layout.validation_report / "missing_and_ranges.svg"


def validation_page(layout: Layout) -> Path:
    """Return the path of the report that people read."""
    return layout.validation_report / "index.html"


def profile(layout: Layout) -> Path:
    """Return the path of the snapshot's profile."""
    return layout.snapshot / "profile.json"
