"""The Registry port in memory: for tests, with the behaviour of the real one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pipelines.adapters.write_once import WriteOnce, contradiction, registration
from pipelines.errors import NotThere
from pipelines.ports import RegistryEntry, bound_tags
from pipelines.records import Approval, ModelVersion, Promotion


class MemoryRegistry(WriteOnce):
    """A registry whose records live in this object; the files of versions under `folder`."""

    def __init__(self, model_name: str, folder: Path) -> None:
        self._name = model_name
        self._folder = folder
        self._stored: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        self._held = threading.Lock()
        self.tags: dict[str, dict[str, str]] = {}
        self.blocked: dict[str, Mapping[str, str]] = {}

    @property
    def model_name(self) -> str:
        return self._name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this object's lock."""
        with self._held:
            yield

    def _claims(self) -> Mapping[str, str]:
        return self._stored

    def _claim(self, key: str, text: str) -> str:
        return self._stored.setdefault(key, text)

    def version(self, version: str) -> ModelVersion:
        """Return one version. Raises NotThere, IntegrityBroken."""
        record = self._recorded(version)
        contradiction(record, self.tags[version], bound_tags(record))
        return record

    def register(self, entry: RegistryEntry) -> ModelVersion:
        """Register once: the same candidate of the same run yields the version it has."""
        number = str(len(self.versions()) + 1)
        number = self._claim(registration(entry.version), number)
        record = msgspec.structs.replace(
            entry.version, version=number, registry_run=f"memory-{number}"
        )
        if number not in self.tags:
            shutil.copytree(entry.files, self._folder / number)
            self.tags[number] = dict(entry.tags) | bound_tags(record)
        return self._record_version(record)

    def log_blocked(self, entry: RegistryEntry) -> str:
        """Keep a blocked candidate's tags, without a version."""
        key = registration(entry.version)
        self.blocked[key] = dict(entry.tags)
        return key

    def fetch(self, version: str, folder: Path) -> None:
        """Copy the files of a version into `folder`."""
        if not (self._folder / version).is_dir():
            raise NotThere("no such model version", observed=version)
        shutil.copytree(self._folder / version, folder, dirs_exist_ok=True)

    def show(self, version: str, name: str, folder: Path) -> None:
        """Keep files beside a version."""
        self._recorded(version)
        beside = self._folder.with_name(f"{self._folder.name}-shown") / version / name
        shutil.copytree(folder, beside, dirs_exist_ok=True)

    def approve(self, approval: Approval) -> None:
        """Keep an approval or a rejection with its version."""
        self._recorded(approval.version)
        self._record_approval(approval)

    def settle(self, promotion: Promotion) -> None:
        """Note that the aliases were set after this promotion."""
        self._record_settled(promotion)

    def aliases(self) -> Mapping[str, str]:
        """Return each alias and its version."""
        return dict(self._aliases)

    def point(self, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""
        if version is None:
            self._aliases.pop(alias, None)
            return
        self._recorded(version)
        self._aliases[alias] = version
