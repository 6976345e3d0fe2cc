"""Which versioned data hold a person, which model versions were trained on them, and until when.

What a run landed is versioned twice over: the rows that the contract accepted, in its snapshot, and
the rows it refused. Both are looked through, once for each digest, wherever a run holds them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from pipelines import flow
from pipelines.contract import Contract
from pipelines.data import exclude
from pipelines.errors import GateRefused, IntegrityBroken, NotThere
from pipelines.layout import RUN_REFS, Layout, State
from pipelines.records import ModelVersion
from pipelines.release.policy import TrainingData
from pipelines.runs.git import Git
from pipelines.runs.run import opened

MONTHS = 12


@dataclass(frozen=True, slots=True)
class Tip:
    """A run's newest commit, the day it was made, and its data by content: snapshot and refused."""

    run_id: str
    commit: str
    day: dt.date
    snapshot: str
    refused: str


@dataclass(frozen=True, slots=True)
class Held:
    """Data that hold a person: by content, in which runs, behind which versions, until when."""

    snapshot: str
    rows: int
    runs: tuple[str, ...]
    versions: tuple[str, ...]
    until: dt.date | None

    def line(self) -> str:
        """Return it for a person to read."""
        versions = f", versions {', '.join(self.versions)}" if self.versions else ""
        until = f"until {self.until}" if self.until else "without an end that the pack states"
        named = f"{self.runs[0]} and {len(self.runs) - 1} more" if self.runs[1:] else self.runs[0]
        return f"snapshot {self.snapshot[:12]} (run {named}{versions}): held {until}"


def tips(git: Git) -> Iterator[Tip]:
    """Yield every run that has a snapshot."""
    form = "--format=%(refname:lstrip=3) %(objectname) %(committerdate:short)"
    for line in git("for-each-ref", form, f"{RUN_REFS}/").splitlines():
        run_id, commit, day = line.split()
        outs = outputs(git, commit)
        if flow.path("snapshot") in outs:
            refused = outs.get(flow.path("refused"), "")
            yield Tip(
                run_id, commit, dt.date.fromisoformat(day), outs[flow.path("snapshot")], refused
            )


def outputs(git: Git, commit: str) -> dict[str, str]:
    """Return the digest of every output that a commit's `dvc.lock` pins."""
    if not git("ls-tree", "--name-only", commit, "--", "dvc.lock"):
        return {}
    lock: Any = yaml.safe_load(git("show", f"{commit}:dvc.lock")) or {}
    stages = lock.get("stages", {}).values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}


def holding(
    repository: Path, state: State, subject: str, rule: TrainingData | None
) -> tuple[Held, ...]:
    """Return all versioned data that hold a person. Raises Unavailable when some cannot be read."""
    found: dict[tuple[str, str], list[Tip]] = {}
    for tip in tips(Git(repository)):
        found.setdefault((tip.snapshot, tip.refused), []).append(tip)
    held = []
    for (snapshot, _), same in found.items():
        rows = sum(
            int(pc.sum(pc.equal(column, subject)).as_py() or 0)
            for column in subjects(repository, state, same[0])
        )
        if rows:
            names = tuple(tip.run_id for tip in same)
            held.append(Held(snapshot, rows, names, (), until(same, rule)))
    return tuple(held)


def behind(held: Iterable[Held], versions: Sequence[ModelVersion]) -> tuple[Held, ...]:
    """Return the same data with the model versions that their runs made."""
    return tuple(
        replace(each, versions=tuple(one.version for one in versions if one.run_id in each.runs))
        for each in held
    )


def until(same: Iterable[Tip], rule: TrainingData | None) -> dt.date | None:
    """Return the day from which data may go, counted from the end of their newest run's month."""
    if rule is None:
        return None
    newest = max(tip.day for tip in same)
    after = newest.year * MONTHS + newest.month + rule.months
    return dt.date(after // MONTHS, after % MONTHS + 1, 1)


def subjects(repository: Path, state: State, tip: Tip) -> Iterator[pa.Array]:
    """Yield the column of subjects, as text, of what a run's snapshot accepted and refused."""
    folders = {"snapshot": tip.snapshot, "refused": tip.refused}
    wanted = tuple(name for name, md5 in folders.items() if md5)
    files = {name: stored(state, folders[name]) for name in wanted}
    if all(found is not None for found in files.values()):
        yield from _columns({name: found or {} for name, found in files.items()})
        return
    with opened(repository, state, run_id=tip.run_id, commit=tip.commit, only=wanted) as context:
        there = {name: _listed(getattr(context.layout, name)) for name in wanted}
        yield from _columns(there)


def stored(state: State, md5: str) -> dict[str, Path] | None:
    """Return the files of a versioned folder by name, as the cache or a local remote has them."""
    listing = _object(state, md5)
    if listing is None:
        return None
    found = {
        item["relpath"]: _object(state, item["md5"]) for item in json.loads(listing.read_bytes())
    }
    if any(path is None for path in found.values()):
        return None
    return {name: path for name, path in found.items() if path is not None}


def _object(state: State, md5: str) -> Path | None:
    for root in (state.dvc_cache, state.dvc_remote):
        path = root / "files" / "md5" / md5[:2] / md5[2:]
        if path.is_file():
            return path
    return None


def _listed(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir() if path.is_file()}


def _columns(files: dict[str, dict[str, Path]]) -> Iterator[pa.Array]:
    """Yield the subjects of the snapshot's rows, and of the refused ones, which are raw text."""
    names = Layout(Path())
    snapshot = files["snapshot"]
    try:
        raw = snapshot[names.snapshot_contract.name].read_bytes()
        column = msgspec.json.decode(raw, type=Contract).subject
        yield _text(snapshot[names.snapshot_rows.name], column.name)
    except (KeyError, msgspec.DecodeError):
        raise IntegrityBroken("a snapshot lacks its rows or its contract") from None
    for name, path in files.get("refused", {}).items():
        if name.endswith(".parquet") and column.name in pq.read_schema(path).names:
            texts = _text(path, column.name).to_pylist()
            kept = [None if text is None else exclude.normal(text, column) for text in texts]
            yield pa.array(kept, pa.string())


def _text(path: Path, column: str) -> pa.Array:
    return pq.read_table(path, columns=[column]).column(0).combine_chunks().cast(pa.string())


def refuse_excluded(repository: Path, state: State, commit: str) -> None:
    """Refuse to train on data that hold somebody who is left out by now. Raises GateRefused."""
    excluded = exclude.known(state)
    if excluded is None:
        return
    git = Git(repository)
    outs = outputs(git, commit)
    if flow.path("snapshot") not in outs:
        return
    run_id = git.run_of(commit)
    if run_id is None:
        raise NotThere("no run made this commit", observed=commit[:12], hint="clew lineage")
    refused = outs.get(flow.path("refused"), "")
    tip = Tip(run_id, commit, dt.date.min, outs[flow.path("snapshot")], refused)
    rows = sum(
        excluded.holds(text)
        for column in subjects(repository, state, tip)
        for text in column.to_pylist()
    )
    if rows:
        raise GateRefused(
            "these data hold people who were erased since",
            where=commit[:12],
            observed=f"{rows} rows",
            expected="none",
            hint="clew ingest, and train on what it pins",
        )
