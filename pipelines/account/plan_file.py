"""A plan as JSON and back, bit for bit: a model of a former scikit-learn can then score today."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from pipelines.errors import IntegrityBroken
from pipelines.model.plan import Category, Node, Number, Plan, Value

FORM: Final = 1


def dumps(plan: Plan) -> bytes:
    """Return a plan as JSON; every double as `float.hex`."""
    return msgspec.json.encode(
        {
            "form": FORM,
            "numbers": [[n.name, n.fill.hex(), n.mean.hex(), n.scale.hex()] for n in plan.numbers],
            "categories": [
                [c.name, c.text, c.first, c.width, [[_out(v), at] for v, at in c.places.items()]]
                for c in plan.categories
            ],
            "start": plan.start.hex(),
            "weights": [each.hex() for each in plan.weights],
            "trees": [
                [
                    [n.place, n.threshold.hex(), n.missing_left, n.left, n.right, n.value.hex()]
                    for n in tree
                ]
                for tree in plan.trees
            ],
        }
    )


def loads(data: bytes, sha256: str) -> Plan:
    """Return the plan of this digest. Raises IntegrityBroken."""
    try:
        raw: dict[str, Any] = msgspec.json.decode(data)
        plan = _plan(raw)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise IntegrityBroken("not a plan") from None
    if raw["form"] != FORM or plan.sha256 != sha256:
        raise IntegrityBroken("not the plan of this version", observed=plan.sha256, expected=sha256)
    return plan


def _plan(raw: dict[str, Any]) -> Plan:
    return Plan(
        numbers=tuple(Number(name, *map(float.fromhex, rest)) for name, *rest in raw["numbers"]),
        categories=tuple(
            Category(name, text, first, width, {_in(value): at for value, at in places})
            for name, text, first, width, places in raw["categories"]
        ),
        start=float.fromhex(raw["start"]),
        weights=tuple(map(float.fromhex, raw["weights"])),
        trees=tuple(
            tuple(
                Node(place, float.fromhex(by), missing, left, right, float.fromhex(value))
                for place, by, missing, left, right, value in tree
            )
            for tree in raw["trees"]
        ),
    )


def _out(value: Value) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, float):
        return ["number", value.hex()]
    if isinstance(value, (dt.date, bool, int)):
        raise TypeError("a category of a kind that no plan has")
    return ["text", value]


def _in(given: list[str] | None) -> Value:
    if given is None:
        return None
    kind, text = given
    return float.fromhex(text) if kind == "number" else text
