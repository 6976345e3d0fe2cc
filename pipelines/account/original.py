"""The model version that decided, got by content and kept: its record, its promotion, its files.

A registry may be slow, away or rewritten. What it said of a version is kept under the digest of
the version's files, and every digest is checked again each time it is used.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.canonical import sha256_json
from pipelines.decisions.record import Origin
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import State
from pipelines.ports import Registry
from pipelines.records import Approval, ModelVersion, Promotion
from pipelines.release.version_files import VersionFiles, checked, fetched
from pipelines.typed import read_json

Opened = Callable[[], Registry]
RECORD: Final = "version.json"
FILES: Final = "files"
APPROVAL: Final = "approval.json"


@dataclass(frozen=True, slots=True)
class Original:
    """A version as it decided: every part is bound by digest to the decision's record."""

    record: ModelVersion
    promotion: Promotion
    approval: Approval | None
    files: VersionFiles


def original(opened: Opened, origin: Origin, state: State) -> Original:
    """Return the version that a decision names, from this machine's copy or the registry.

    `opened` opens the registry, which is asked only for what is not kept here yet. Raises
    IntegrityBroken when anything is not what the decision's record says, NotThere, Unavailable.
    """
    # The same files may be registered twice, by two runs that made the same of the same.
    named = [origin.files_sha256, origin.version, origin.commit]
    folder = state.versions / sha256_json(named)
    if not (folder / RECORD).is_file():
        _keep_version(opened(), origin, state, folder)
    promoted = folder / f"promotion-{origin.promotion_id}"
    if not (promoted / RECORD).is_file():
        _keep_promotion(opened(), origin, state, promoted)
    record = read_json(folder / RECORD, ModelVersion)
    _refuse_another(record, origin)
    promotion = read_json(promoted / RECORD, Promotion)
    approval = _approval(promoted, promotion)
    _same("the promotion", promotion.id, origin.promotion_id)
    _same("the promoted version", promotion.version, record.version)
    _same("the promotion's verdict", promotion.verdict_id, record.verdict_id)
    return Original(record, promotion, approval, checked(record, folder / FILES))


def _keep_version(registry: Registry, origin: Origin, state: State, folder: Path) -> None:
    record = registry.version(origin.version)
    _refuse_another(record, origin)
    with new_folder(state) as made:
        fetched(registry, record, made / FILES)
        record.write(made / RECORD)
        settle(made, folder)


def _keep_promotion(registry: Registry, origin: Origin, state: State, folder: Path) -> None:
    found = [each for each in registry.promotions() if each.id == origin.promotion_id]
    if not found:
        raise IntegrityBroken(
            "the registry does not know the promotion that a decision names",
            where=f"{registry.model_name} version {origin.version}",
            expected=origin.promotion_id,
            hint="restore MLflow's database from its backup",
        )
    given = [a for a in registry.approvals(origin.version) if a.id == found[0].approval_id]
    with new_folder(state) as made:
        for approval in given:
            approval.write(made / APPROVAL)
        found[0].write(made / RECORD)
        settle(made, folder)


def _approval(folder: Path, promotion: Promotion) -> Approval | None:
    if promotion.approval_id is None:
        return None
    if not (folder / APPROVAL).is_file():
        raise NotThere("the approval that a promotion names", observed=promotion.approval_id)
    approval = read_json(folder / APPROVAL, Approval)
    _same("the approval", approval.id, promotion.approval_id)
    _same("the approval's verdict", approval.verdict_id, promotion.verdict_id)
    return approval


def _refuse_another(record: ModelVersion, origin: Origin) -> None:
    _same("the version", record.version, origin.version)
    _same("the version's files", record.files_sha256, origin.files_sha256)
    _same("the version's model", record.model_sha256, origin.model_sha256)
    _same("the version's commit", record.commit, origin.commit)


@contextmanager
def new_folder(state: State) -> Iterator[Path]:
    """Give a temporary folder on the state's own volume, gone in the end unless it was moved."""
    state.temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=state.temporary))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def settle(made: Path, folder: Path) -> None:
    """Give a finished folder its name, whole; who was first wins, for the content is the same."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _same(what: str, observed: str, expected: str) -> None:
    if observed != expected:
        raise IntegrityBroken(
            f"{what} is not what the decision's record says", observed=observed, expected=expected
        )
