"""Examples of kept records: ``python -m tests.kept.examples`` writes those that are not there yet.

A file is never written over: it is what some release wrote, and every later one must read it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

import pipelines
from pipelines.canonical import canonical_json
from pipelines.contract import Contract
from pipelines.decisions.erasure_requests import Request
from pipelines.decisions.service.api_keys import ApiKey
from pipelines.decisions.service.stop import Thrown
from pipelines.params import Params
from pipelines.records import Record
from pipelines.release.policy import Policy

FOLDER = Path(__file__).resolve().parent
# Kept, and no records: people wrote them, or a service keeps them for itself.
OTHERS: tuple[type[msgspec.Struct], ...] = (ApiKey, Contract, Params, Policy, Request, Thrown)
# Answers, made anew whenever they are asked for, and what passes between two processes.
NOT_KEPT = (
    "pipelines.account.blind.Report",
    "pipelines.account.counterfactual.",
    "pipelines.account.knots.",
    "pipelines.account.trace.",
    "pipelines.account.what_if.",
    "pipelines.watch.parts.",
)


def kinds() -> list[type[msgspec.Struct]]:
    """Return every kind that is kept by itself, not only within another; sorted by name."""
    package = Path(str(pipelines.__file__)).parent
    for path in sorted(package.rglob("*.py")):
        if "(Record, frozen=True" in path.read_text(encoding="utf-8"):
            words = path.relative_to(package.parent).with_suffix("").parts
            importlib.import_module(".".join(words))
    known = (each for each in {*_below(Record), *OTHERS} if not name(each).startswith(NOT_KEPT))
    kept = set(known)
    inner = {each for kind in kept for each in _within(inspect.type_info(kind)) if each != kind}
    return sorted(kept - inner, key=name)


def _within(kind: Any) -> Iterator[type]:
    if isinstance(kind, inspect.StructType):
        yield kind.cls
    for each in _parts(kind):
        yield from _within(each)


def _parts(kind: Any) -> list[Any]:
    """Return the types that a type is made of."""
    named = (getattr(kind, each, None) for each in ("item_type", "key_type", "value_type"))
    return [
        *(each.type for each in getattr(kind, "fields", ())),
        *(getattr(kind, "types", None) or ()),
        *(getattr(kind, "item_types", None) or ()),
        *(each for each in named if each is not None),
    ]


def _below(kind: type[Record]) -> Iterator[type[Record]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("pipelines."):
            yield each
            yield from _below(each)


def name(kind: type[msgspec.Struct]) -> str:
    """Return a kind's full name, which its file has too."""
    return f"{kind.__module__}.{kind.__qualname__}"


def file(kind: type[msgspec.Struct]) -> Path:
    """Return where the examples of a kind stand, one a line."""
    return FOLDER / f"{name(kind)}.jsonl"


def examples(kind: type[msgspec.Struct]) -> list[bytes]:
    """Return examples that together hold every alternative of every field."""
    found: list[bytes] = []
    for number in range(_most(inspect.type_info(kind))):
        value = _value(inspect.type_info(kind), number)
        # Through the type and back: what is written is what a release would write.
        line = canonical_json(msgspec.to_builtins(msgspec.convert(value, kind)))
        found += [line] if line not in found else []
    return found


def _value(kind: Any, number: int) -> Any:
    """Return a value of a type; of alternatives, the one that `number` falls on."""
    if isinstance(kind, inspect.StructType):
        fields = {each.encode_name: _value(each.type, number) for each in kind.fields}
        return fields if kind.tag is None else fields | {str(kind.tag_field): kind.tag}
    if isinstance(kind, inspect.DictType):
        return {str(_value(kind.key_type, number)): _value(kind.value_type, number)}
    if isinstance(kind, inspect.TupleType):
        return [_value(each, number) for each in kind.item_types]
    if item := getattr(kind, "item_type", None):
        return [_value(item, number)]
    if isinstance(kind, inspect.UnionType):
        return _value(_picked(kind.types, number), number)
    return _plain(kind, number)


def _plain(kind: Any, number: int) -> Any:
    if isinstance(kind, inspect.LiteralType):
        return _picked(kind.values, number)
    if isinstance(kind, inspect.EnumType):
        return _picked(tuple(kind.cls), number).value
    return PLAIN[type(kind)]


PLAIN: dict[type, Any] = {
    inspect.AnyType: {"any": [1, "one", None]},
    inspect.BoolType: True,
    inspect.BytesType: "AQID",
    inspect.DateType: "2026-11-22",
    inspect.FloatType: 0.5,
    inspect.IntType: 1,
    inspect.NoneType: None,
    inspect.StrType: "text",
}


def _picked(found: tuple[Any, ...], number: int) -> Any:
    return found[number % len(found)]


def _most(kind: Any) -> int:
    """Return how many examples hold every alternative of a type."""
    own = len(getattr(kind, "types", None) or getattr(kind, "values", None) or ())
    return max([own, 1, *map(_most, _parts(kind))])


def main() -> None:
    """Write the examples of every kind that has none."""
    for kind in kinds():
        if not file(kind).exists():
            file(kind).write_bytes(b"\n".join(examples(kind)) + b"\n")
            sys.stdout.write(f"{file(kind).name}\n")


if __name__ == "__main__":
    main()
