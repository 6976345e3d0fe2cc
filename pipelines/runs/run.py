"""Work for a run: begin at a pinned commit, do one step, commit what it made, push its data.

A run never touches the user's checkout. What is handed from step to step is a commit id; a step
asked for twice at the same commit yields the commit it yielded before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines import flow, params, run_step, wiring
from pipelines.environments import locked
from pipelines.errors import BadRequest, NotThere, did_you_mean
from pipelines.layout import Layout, State
from pipelines.params import Source
from pipelines.ports import Context, Run
from pipelines.runs.git import Git, run_name
from pipelines.runs.store import Store

KEPT = ["dvc.lock", "data/landed.dvc", "params.yaml"]
DATA_POINTERS = ("data/landed.dvc", "dvc.lock")


@dataclass(frozen=True, slots=True)
class Result:
    """What a step of a run left: the commit that holds it, and whether it had to work for it."""

    run_id: str
    step: str
    commit: str
    cached: bool


def begin(
    repository: Path,
    state: State,
    *,
    run_id: str,
    code: str = "HEAD",
    data: str | None = None,
    choices: Mapping[str, str] | None = None,
    asked: str | None = None,
) -> str:
    """Start a run and return its first commit.

    `code` is the commit whose code, contract and parameters are used; `data` the commit of a run
    whose landed data and finished steps are taken over; `choices` sets `candidate` or `policy`;
    `asked` is why something asked for the run. Beginning the same run again returns the same
    commit; beginning it differently is refused.
    """
    git = Git(repository, _remote())
    name = run_name(run_id)
    pinned = git.resolve(code)
    data_commit = git.resolve(data) if data else None
    message = _begin_message(name, pinned, data_commit, choices or {}, asked)
    with locked(state.worktrees / f"{name}.lock"):
        if existing := git.tip(name):
            return _same_begin(git, existing, message, name)
        folder = _worktree(git, state, name, pinned)
        here = Git(folder)
        if data_commit:
            here("checkout", "--quiet", data_commit, "--", *_held(here, data_commit))
        if choices:
            _choose(Layout(folder), dict(choices))
        if choices or data_commit:
            _refuse_unknown_pack(Layout(folder))
        present = [path for path in KEPT if (folder / path).exists()]
        here("add", "--force", "--", *present)
        here("commit", "--quiet", "--no-verify", "--allow-empty", "--message", message)
        first = here("rev-parse", "HEAD")
        git.advance(name, first, None)
        return first


def ingest(
    repository: Path, state: State, *, run_id: str, commit: str, source: Source | None = None
) -> Result:
    """Bring landed data into a run and pin it: the first step of a data run."""
    with _at(repository, state, run_id, commit, "ingest") as (folder, done):
        if done:
            return Result(run_id, "ingest", done, cached=True)
        context = _context(folder, state, run_id, commit)
        run_step.run("ingest", context, source=source)
        store = Store(folder, state)
        store.add(flow.path("landed"))
        return Result(run_id, "ingest", _keep(repository, folder, run_id, "ingest"), cached=False)


def step(repository: Path, state: State, *, run_id: str, commit: str, name: str) -> Result:
    """Do one file step of a run at `commit` and return the commit that holds its outputs.

    Raises what the step raises; a step that refuses what comes after it (validate, gate) has its
    outputs committed and pushed first. Killed half-way, it leaves the run where it was.
    """
    if flow.step(name).kind != "file":
        raise BadRequest("not a step that leaves files", observed=name)
    with _at(repository, state, run_id, commit, name) as (folder, done):
        layout = Layout(folder)
        store = Store(folder, state)
        if done:
            Git(folder)("checkout", "--quiet", "--detach", done)
            store.fetch([flow.path(each) for each in flow.step(name).writes])
            result = Result(run_id, name, done, cached=True)
        else:
            store.fetch(_needed(layout, name))
            with _known_run(run_id, commit):
                worked = store.reproduce(name)
            if not worked:
                context = _context(folder, state, run_id, commit)
                run_step.restored(name, context)
            kept = _keep(repository, folder, run_id, name)
            store.push(name)
            result = Result(run_id, name, kept, cached=not worked)
        if refused := run_step.refusal(name, layout):
            raise refused
        return result


@contextmanager
def opened(
    repository: Path, state: State, *, run_id: str, commit: str, only: tuple[str, ...] = ()
) -> Iterator[Context]:
    """Give the context of a run's worktree at `commit`, for an effect step or to read from.

    What steps wrote is there: all of it, or with `only` no more than these properties of Layout.
    """
    with _at(repository, state, run_id, commit, "") as (folder, _):
        store = Store(folder, state)
        written = only or tuple(each for step in flow.FILE_STEPS for each in step.writes)
        store.fetch(store.known([flow.path(each) for each in written]))
        yield _context(folder, state, run_id, commit)


def finish(repository: Path, state: State, run_id: str) -> None:
    """Remove a run's worktree. The run itself stays: its reference and its data."""
    name = run_name(run_id)
    with locked(state.worktrees / f"{name}.lock"):
        folder = state.worktrees / name
        if folder.exists():
            shutil.rmtree(folder)
            with locked(state.worktrees / "git.lock"):
                Git(repository)("worktree", "prune")


@contextmanager
def _at(
    repository: Path, state: State, run_id: str, commit: str, name: str
) -> Iterator[tuple[Path, str | None]]:
    """Hold the run's lock with its worktree at `commit`; say whether `name` is done already."""
    git = Git(repository, _remote())
    run = run_name(run_id)
    with locked(state.worktrees / f"{run}.lock"):
        tip = git.tip(run)
        if tip is None:
            raise NotThere("no such run", observed=run, hint="git for-each-ref refs/clew/runs")
        if not git.contains(commit, tip):
            raise BadRequest(
                "a commit of another run", where=run, observed=commit[:12], expected=tip[:12]
            )
        done = git.step_after(commit, tip, name) if name else None
        if name and not done and commit != tip:
            raise BadRequest(
                "the run has gone on from this commit",
                where=f"{run}: {name}",
                observed=commit[:12],
                expected=tip[:12],
            )
        yield _worktree(git, state, run, commit), done


def _worktree(git: Git, state: State, name: str, commit: str) -> Path:
    folder = state.worktrees / name
    with locked(state.worktrees / "git.lock"):
        if not (folder / ".git").exists():
            shutil.rmtree(folder, ignore_errors=True)
            git("worktree", "prune")
            git("worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
    here = Git(folder)
    if here("rev-parse", "HEAD") != commit or here("status", "--porcelain", "-uno"):
        here("checkout", "--quiet", "--force", "--detach", commit)
    Store(folder, state).configure()
    return folder


def _keep(repository: Path, folder: Path, run_id: str, name: str) -> str:
    here = Git(folder)
    former = here("rev-parse", "HEAD")
    kept = here.commit(KEPT, f"{name}: {flow.step(name).summary}\n\nClew-Step: {name}")
    if kept != former:
        Git(repository, _remote()).advance(run_name(run_id), kept, former)
    return kept


def _needed(layout: Layout, name: str) -> list[str]:
    """Return the outputs of former steps that this step reads and that are not here yet."""
    outs = {each for step in flow.STEPS for each in step.writes}
    paths = [flow.path(each) for each in flow.step(name).reads]
    made = [flow.path(each) for each in outs]
    wanted = {out for out in made for path in paths if path == out or path.startswith(f"{out}/")}
    return sorted(out for out in wanted if not (layout.root / out).exists())


def _context(folder: Path, state: State, run_id: str, commit: str) -> Context:
    context = wiring.context(Layout(folder), state)
    airflow = os.environ.get(wiring.AIRFLOW_RUN_VARIABLE)
    return replace(context, run=Run(run_name(run_id), commit, airflow))


@contextmanager
def _known_run(run_id: str, commit: str) -> Iterator[None]:
    """Tell child processes which run they work for."""
    names = dict(zip(wiring.RUN_VARIABLES, (run_name(run_id), commit), strict=False))
    former = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _choose(layout: Layout, choices: dict[str, str]) -> None:
    """Write the choices into the run's own params.yaml."""
    layout.params.write_text(params.override(layout.params, choices), encoding="utf-8")


def _refuse_unknown_pack(layout: Layout) -> None:
    """Raise BadRequest, before any work, where params.yaml names a pack that is not there."""
    chosen = params.read(layout.params)
    packs = sorted(path.stem for path in layout.policies.glob("*.yaml"))
    if chosen.policy not in packs:
        raise BadRequest(
            "no such policy pack",
            observed=chosen.policy,
            expected=", ".join(packs),
            hint=did_you_mean(chosen.policy, packs) or "ls policies",
        )


def _begin_message(
    name: str, code: str, data: str | None, choices: Mapping[str, str], asked: str | None
) -> str:
    lines = [f"Run {name}", "", f"Clew-Run: {name}", f"Clew-Code: {code}"]
    if data:
        lines.append(f"Clew-Data: {data}")
    lines += [f"Clew-Choice: {key}={value}" for key, value in sorted(choices.items())]
    if asked:
        lines.append(f"Clew-Asked: {' '.join(asked.split())}")
    return "\n".join(lines)


def _same_begin(git: Git, tip: str, message: str, name: str) -> str:
    firsts = git("log", "--format=%H", "--grep", f"^Clew-Run: {name}$", tip).splitlines()
    for first in firsts:
        if git("log", "-1", "--format=%B", first).strip() == message:
            return first
    raise BadRequest(
        "a run of this name was begun otherwise",
        where=name,
        hint="choose another run id, or give the same code, data and choices",
    )


def _held(git: Git, commit: str) -> list[str]:
    """Return the data pointers that a commit holds. Raises NotThere when it pins no data."""
    held = git("ls-tree", "--name-only", commit, "--", *DATA_POINTERS).splitlines()
    if "data/landed.dvc" not in held:
        raise NotThere("this commit pins no data", observed=commit[:12], hint="clew ingest")
    return held


def _remote() -> str | None:
    return os.environ.get("CLEW_GIT_REMOTE")
