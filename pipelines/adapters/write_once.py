"""Which record stands under which key in a store where each key can be written once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from pipelines.canonical import sha256_json
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.records import Approval, ModelVersion, Promotion, Record
from pipelines.typed import OTHER_RELEASE

T = TypeVar("T", bound=Record)
SHORT = 16


class WriteOnce(ABC):
    """The records of a registry, over `_claims` (read them all) and `_claim` (write one, once)."""

    @abstractmethod
    def _claims(self) -> Mapping[str, str]:
        """Return every key and its text."""

    @abstractmethod
    def _claim(self, key: str, text: str) -> str:
        """Write `text` under `key` unless something stands there; return what stands there."""

    def versions(self) -> Sequence[ModelVersion]:
        """Return all versions, oldest first."""
        return self._all("version.", ModelVersion)

    def _recorded(self, version: str) -> ModelVersion:
        for found in self.versions():
            if found.version == version:
                return found
        known = ", ".join(each.version for each in self.versions()) or "none yet"
        raise NotThere(
            "no such model version", observed=version, expected=known, hint="clew history"
        )

    def _record_version(self, record: ModelVersion) -> ModelVersion:
        stored = self._claim(f"version.{int(record.version):06d}", _text(record))
        found = decode(stored, ModelVersion)
        if found != record:
            raise IntegrityBroken(
                "this model version was registered with other content",
                where=f"{record.model_name} version {record.version}",
                observed=record.id,
                expected=found.id,
            )
        return found

    def approvals(self, version: str) -> Sequence[Approval]:
        """Return what people said about a version, oldest first."""
        found = self._all(f"approval.{version}.", Approval)
        return sorted(found, key=lambda each: each.at)

    def _record_approval(self, approval: Approval) -> None:
        self._claim(f"approval.{approval.version}.{approval.id[:SHORT]}", _text(approval))

    def promotions(self) -> Sequence[Promotion]:
        """Return the promotion trail as stored, unchecked, in the order of its numbers."""
        return self._all("promotion.", Promotion)

    def append(self, promotion: Promotion) -> Promotion:
        """Claim a number of the trail; return what stands under it, which may be another's."""
        stored = self._claim(f"promotion.{promotion.number:06d}", _text(promotion))
        return decode(stored, Promotion)

    def settled(self, promotion: Promotion) -> bool:
        """Tell whether the aliases were set after this promotion."""
        return self._claims().get(f"settled.{promotion.number:06d}") == promotion.id

    def _record_settled(self, promotion: Promotion) -> None:
        self._claim(f"settled.{promotion.number:06d}", promotion.id)

    def _all(self, prefix: str, kind: type[T]) -> list[T]:
        claims = self._claims()
        return [decode(claims[key], kind) for key in sorted(claims) if key.startswith(prefix)]


def registration(record: ModelVersion) -> str:
    """Return the key under which a run's candidate is registered once."""
    return f"registered.{sha256_json([record.run_id, record.candidate_id])[:SHORT]}"


def decode(text: str, kind: type[T]) -> T:
    """Read a stored record. Raises IntegrityBroken when it is not one."""
    try:
        return msgspec.json.decode(text, type=kind, strict=True)
    except msgspec.DecodeError as error:
        raise IntegrityBroken(
            f"a stored {kind.__name__} is not what was written",
            observed=str(error),
            hint=OTHER_RELEASE,
        ) from None


def contradiction(
    record: ModelVersion, tags: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    """Raise IntegrityBroken naming the first tag that is not what the version's record says."""
    for name, value in expected.items():
        if tags.get(name) != value:
            raise IntegrityBroken(
                "a model version's tag contradicts its record",
                where=f"{record.model_name} version {record.version}: {name}",
                observed=tags.get(name, "no such tag"),
                expected=value,
                hint="put the tag back, and ask who changed it",
            )


def _text(record: Record) -> str:
    return record.canonical().decode()
