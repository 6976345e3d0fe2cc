"""Strict decoding of what people write (YAML) and what Clew wrote (JSON) into frozen records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from pipelines.canonical import sha256_json
from pipelines.errors import BadRequest, IntegrityBroken, NotThere, did_you_mean

T = TypeVar("T")
OTHER_RELEASE = (
    "where its digest holds, another release wrote it: read it with the code of its run's commit "
    "(docs/adr/0012-kept-records.md)"
)
UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>[^`]*)`")


def convert(raw: object, kind: type[T], where: str) -> T:
    """Turn plain data into `kind`; an unknown, missing or mistyped key raises BadRequest.

    `where` names the file in the message. Tuples, nested structs and literals are checked too.
    """
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        unknown = UNKNOWN_FIELD.search(str(error))
        hint = did_you_mean(unknown["name"], _field_names(kind)) if unknown else ""
        raise BadRequest(
            str(error), where=where, hint=hint or f"compare {where} with docs/reference/files.md"
        ) from None


def read_yaml(path: Path, kind: type[T]) -> T:
    """Read a YAML file into `kind`. Raises NotThere, or BadRequest naming line or key."""
    return convert(load_yaml(path), kind, path.name)


def load_yaml(path: Path) -> object:
    """Read a YAML file as plain data; a key written twice is refused, never silently dropped."""
    if not path.is_file():
        raise NotThere("no such file", where=str(path))
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{path.name}:{mark.line + 1}" if mark else path.name
        problem = getattr(error, "problem", None) or type(error).__name__
        raise BadRequest(f"not readable as YAML: {problem}", where=line) from None


class _UniqueKeys(yaml.SafeLoader):
    """A safe YAML loader that refuses a mapping with the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping as usual, once its keys are known to differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_json(path: Path, kind: type[T]) -> T:
    """Read a record that a step wrote. Raises NotThere, or IntegrityBroken when it is not one."""
    if not path.is_file():
        raise NotThere("no such record", where=str(path))
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind, strict=True)
    except msgspec.DecodeError as error:
        raise IntegrityBroken(
            "a record is not what the step wrote",
            where=str(path),
            observed=str(error),
            hint=OTHER_RELEASE,
        ) from None


def plain(record: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a record as plain JSON data: dicts, lists, text, numbers."""
    return msgspec.to_builtins(record)


def _field_names(kind: Any) -> list[str]:  # noqa: ANN401 - any type msgspec can inspect
    return sorted(set(_walk(msgspec.inspect.type_info(kind))))


def _walk(info: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(info, msgspec.inspect.StructType):
        for field in info.fields:
            yield field.encode_name
            yield from _walk(field.type)
    for name in ("types", "item_types"):
        for inner in getattr(info, name, None) or ():
            yield from _walk(inner)
    for name in ("value_type", "item_type"):
        inner = getattr(info, name, None)
        if inner is not None:
            yield from _walk(inner)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section of the file."""

    @property
    def sha256(self) -> str:
        """SHA-256 over the canonical form of this section."""
        return sha256_json(plain(self))
