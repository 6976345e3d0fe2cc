"""What is known about a data set: `contract.yaml`, an Open Data Contract Standard 3 document.

Standard fields carry what the standard knows: type, unit, range, nullability, allowed values,
sentinels (a `missingValues` rule). Custom properties carry what deciding about people adds: the
column's role, its protected attribute, whether the person can act on it, whether the score must
be monotone in it, and its words in a letter. Nothing else in Clew knows a column by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from pipelines.canonical import sha256_json
from pipelines.errors import BadRequest, did_you_mean
from pipelines.typed import convert, load_yaml, plain

Role = Literal["subject", "event_time", "feature", "protected", "target", "ignored"]
Kind = Literal["integer", "number", "string", "boolean", "date", "timestamp"]
Scalar = str | int | float | bool


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the parts of a contract."""


class Band(Part, frozen=True):
    """A group of a protected number: values below `below` (and not in a former band)."""

    name: str
    below: float | None = None


class Protected(Part, frozen=True):
    """How a column tells the group of a protected attribute.

    One of: `group` (an indicator: 1 or true means this group), `groups` (value, as text, to name),
    `bands` (of a number); with none of them the value itself is the group's name.
    """

    attribute: str
    group: str | None = None
    groups: dict[str, str] | None = None
    bands: tuple[Band, ...] | None = None


class Column(Part, frozen=True):
    """One column of the data.

    `outside` says what becomes of an application whose value is outside the documented range or
    among no known values: a person decides (refer), or it is sent back (refuse). `meanings` are the
    words for its codes, by code as text.
    """

    name: str
    role: Role
    kind: Kind
    description: str = ""
    unit: str | None = None
    required: bool = False
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[Scalar, ...] | None = None
    sentinels: tuple[Scalar, ...] = ()
    max_missing_share: float | None = None
    favourable: Scalar | None = None
    protected: Protected | None = None
    outside: Literal["refer", "refuse"] = "refer"
    actionable: Literal["no", "increase", "decrease", "any"] = "no"
    monotone: Literal["no", "increasing", "decreasing"] = "no"
    words: str | None = None
    meanings: dict[str, str] | None = None
    reg_b_code: str | None = None

    def meaning(self, value: object) -> str | None:
        """Return what a code of this column means, where the contract says so."""
        code = int(value) if isinstance(value, float) and value.is_integer() else value
        return (self.meanings or {}).get(str(code))


class Contract(Part, frozen=True):
    """All columns, in the order of the data, and rules on the whole table."""

    name: str
    version: str
    columns: tuple[Column, ...]
    min_rows: int = 1

    @property
    def sha256(self) -> str:
        """SHA-256 over the canonical form."""
        return sha256_json(plain(self))

    def by_role(self, role: Role) -> tuple[Column, ...]:
        """Return the columns of one role, in order."""
        return tuple(column for column in self.columns if column.role == role)

    @property
    def target(self) -> Column:
        return self.by_role("target")[0]

    @property
    def subject(self) -> Column:
        return self.by_role("subject")[0]

    @property
    def event_time(self) -> Column | None:
        found = self.by_role("event_time")
        return found[0] if found else None

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the names of the protected attributes, in order of first appearance."""
        named = (column.protected.attribute for column in self.columns if column.protected)
        return tuple(dict.fromkeys(named))

    def column(self, name: str) -> Column:
        """Return one column by name. Raises BadRequest with the closest name."""
        for column in self.columns:
            if column.name == name:
                return column
        known = [column.name for column in self.columns]
        hint = did_you_mean(name, known)
        raise BadRequest("no such column in the contract", observed=name, hint=hint)


def read(path: Path) -> Contract:
    """Read an ODCS 3 document with one table. Raises NotThere, or BadRequest naming the place."""
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    raw = load_yaml(path)
    try:
        document = OpenDataContractStandard.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise BadRequest(
            f"not an ODCS document: {first['msg']}", where=f"{path.name}: {place}"
        ) from None
    tables = document.schema_ or []
    if len(tables) != 1:
        raise BadRequest(
            "a contract describes one table",
            where=path.name,
            observed=len(tables),
            expected=1,
        )
    table = tables[0]
    contract = Contract(
        name=document.id or document.name or path.stem,
        version=document.version or "0",
        columns=tuple(_column(item, path.name) for item in table.properties or []),
        min_rows=_min_rows(table.quality or []),
    )
    _whole(contract, path.name)
    return contract


def _column(item: Any, file: str) -> Column:  # noqa: ANN401 - ODCS SchemaProperty
    custom = {entry.property: entry.value for entry in item.customProperties or []}
    options = item.logicalTypeOptions or {}
    allowed = _argument(item, "invalidValues", "validValues")
    missing = _rule(item, "missingValues")
    raw = {
        "name": item.name,
        "kind": item.logicalType,
        "description": item.description or "",
        "required": bool(item.required),
        "unique": bool(item.unique or item.primaryKey),
        "minimum": options.get("minimum"),
        "maximum": options.get("maximum"),
        "allowed": allowed,
        "sentinels": _argument(item, "missingValues", "missingValues") or [],
        "max_missing_share": _share(missing),
        **custom,
    }
    return convert(raw, Column, f"{file}: {item.name}")


def _rule(item: Any, metric: str) -> Any:  # noqa: ANN401
    found = [rule for rule in item.quality or [] if rule.metric == metric]
    return found[0] if found else None


def _argument(item: Any, metric: str, name: str) -> list[Scalar] | None:  # noqa: ANN401
    rule = _rule(item, metric)
    values = (rule.arguments or {}).get(name) if rule else None
    return [value for value in values if value is not None] if values else None


def _share(rule: Any) -> float | None:  # noqa: ANN401
    if rule is None or rule.mustBeLessOrEqualTo is None:
        return None
    return float(rule.mustBeLessOrEqualTo) / (100.0 if rule.unit == "percent" else 1.0)


def _min_rows(rules: list[Any]) -> int:
    for rule in rules:
        if rule.metric == "rowCount" and rule.mustBeGreaterOrEqualTo is not None:
            return int(rule.mustBeGreaterOrEqualTo)
    return 1


def _whole(contract: Contract, file: str) -> None:
    names = [column.name for column in contract.columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest("a column stands twice in the contract", where=f"{file}: {twice}")
    for role, low, high in (("subject", 1, 1), ("target", 1, 1), ("event_time", 0, 1)):
        count = len(contract.by_role(role))  # type: ignore[arg-type]
        if not low <= count <= high:
            wanted = low if low == high else f"{low} or {high}"
            raise BadRequest(
                f"a contract has {wanted} column of role {role}",
                where=file,
                observed=count,
            )
    if not contract.by_role("feature"):
        raise BadRequest("a contract has no column of role feature", where=file)
    if contract.target.favourable is None:
        raise BadRequest(
            "the target does not say which value is favourable",
            where=f"{file}: {contract.target.name}",
            expected="a custom property 'favourable'",
        )
    for column in contract.by_role("protected"):
        if column.protected is None:
            raise BadRequest(
                "a protected column does not name its attribute",
                where=f"{file}: {column.name}",
                expected="a custom property 'protected' with 'attribute'",
            )
