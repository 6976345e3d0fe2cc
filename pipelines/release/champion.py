"""The step `champion`: ask the registry for the model in force and pin it beside the candidate."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import IntegrityBroken
from pipelines.params import read as read_params
from pipelines.ports import Alias, Context, Registry
from pipelines.records import Champion, ModelVersion, Promotion
from pipelines.release import history
from pipelines.release.version_files import VersionFiles, fetched


def current(registry: Registry) -> ModelVersion | None:
    """Return the version in force; None when the registry answered that there is none.

    Call it with the registry's lock held: a promotion that was killed half-way is finished first.
    Raises IntegrityBroken when the alias is not where the trail put it.
    """
    trail = settle(registry)
    refuse_moved_alias(registry, trail)
    return registry.version(trail[-1].version) if trail else None


def record(model_name: str, found: ModelVersion | None) -> Champion:
    """Return the record of the registry's answer."""
    if found is None:
        return Champion(state="none", model_name=model_name)
    return Champion(
        state="version",
        model_name=model_name,
        version=found.version,
        candidate_id=found.candidate_id,
        model_sha256=found.model_sha256,
    )


def settle(registry: Registry) -> tuple[Promotion, ...]:
    """Put the aliases where the last promotion says, if that was not done yet; return the trail.

    The trail is written before the aliases. A process killed between the two leaves a promotion
    that is decided and not carried out; whoever comes next carries it out. Another that was only
    slow may set its aliases after a later promotion, so the trail is read again afterwards.
    """
    pointed: str | None = None
    while True:
        trail = history.checked(registry.promotions())
        if not trail or trail[-1].id == pointed:
            return trail
        if pointed is None:
            if registry.settled(trail[-1]):
                return trail
            _refuse_third_version(registry, trail)
        for alias, version in history.aliases_after(trail).items():
            registry.point(alias, version)
        registry.settle(trail[-1])
        pointed = trail[-1].id


def refuse_moved_alias(registry: Registry, trail: Sequence[Promotion]) -> None:
    """Raise IntegrityBroken when an alias does not name the version that the trail left it at."""
    aliases = registry.aliases()
    for alias, expected in history.aliases_after(trail).items():
        if aliases.get(alias) != expected:
            raise moved(registry.model_name, alias, aliases.get(alias), trail)


def _refuse_third_version(registry: Registry, trail: Sequence[Promotion]) -> None:
    """Half-way between two champions the alias names one of them; a third was put by hand."""
    alias = Alias.CHAMPION.value
    observed = registry.aliases().get(alias)
    if observed not in [history.aliases_after(some)[alias] for some in (trail, trail[:-1])]:
        raise moved(registry.model_name, alias, observed, trail)


def moved(
    model_name: str, alias: str, observed: str | None, trail: Sequence[Promotion]
) -> IntegrityBroken:
    """Return the error for an alias that was moved by hand."""
    expected = history.aliases_after(trail)[alias]
    mend = f"delete the alias {alias} in MLflow"
    if trail:
        who = "--person NAME --reason WHY"
        back = f"clew promote {trail[-1].version} {who} (puts it back)"
        mend = f"{back}; or clew undo {who} (goes back to the former champion)"
    return IntegrityBroken(
        f"the alias '{alias}' was moved by hand",
        where=model_name,
        observed=f"version {observed}" if observed else "no version",
        expected=f"version {expected}, by the promotion trail" if expected else "no version",
        hint=mend,
    )


def run(context: Context) -> Champion:
    """Write the champion's record and, if there is one, its files; the same bytes each time.

    Raises Unavailable when the registry does not answer: then there is no record at all.
    """
    layout = context.layout
    shutil.rmtree(layout.champion, ignore_errors=True)
    registry = context.registry(read_params(layout.params).model_name)
    with registry.lock():
        found = current(registry)
    answer = record(registry.model_name, found)
    if found:
        with tempfile.TemporaryDirectory() as folder:
            _pin(fetched(registry, found, Path(folder) / "version"), VersionFiles(layout.champion))
    answer.write(layout.champion_record)
    return answer


def _pin(source: VersionFiles, target: VersionFiles) -> None:
    target.folder.mkdir(parents=True)
    for name in ("record", "model", "environment", "training", "profile", "contract"):
        shutil.copyfile(getattr(source, name), getattr(target, name))
    for name in ("metrics", "declared"):  # versions from before they were kept have none
        if getattr(source, name).is_file():
            shutil.copyfile(getattr(source, name), getattr(target, name))
