"""What the contract asks of one value: its text, its sentinels, whether it may be missing.

No library is needed here, so that a decision can be made again where there is none.
"""

from __future__ import annotations

from pipelines.contract import Column, Scalar

INTEGER = r"^[+-]?[0-9]+(\.0*)?$"
NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
BOOLEAN = r"(?i)^(true|false|1|0)$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
TIMESTAMP = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{TIME}{ZONE}?)?$"
ALWAYS_REQUIRED = ("subject", "target")


def text_sentinels(column: Column) -> list[str]:
    """Return the sentinels that are compared with the text as it stands in the file."""
    if column.kind == "string":
        return [str(value) for value in column.sentinels]
    return [value for value in column.sentinels if isinstance(value, str)]


def number_sentinels(column: Column) -> list[Scalar]:
    """Return the sentinels that are compared with the number that the text means."""
    if column.kind not in {"integer", "number"}:
        return []
    numbers = [value for value in column.sentinels if not isinstance(value, (str, bool))]
    if column.kind == "integer":
        return [int(value) for value in numbers if float(value).is_integer()]
    return [float(value) for value in numbers]


def required(column: Column) -> bool:
    """Say whether a row without this value is refused; a subject and a target are always needed."""
    return column.required or column.role in ALWAYS_REQUIRED
