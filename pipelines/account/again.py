"""A model version that decides again: its environment, its code, in a sandbox, as one process."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal

import msgspec

from pipelines.account import code as code_trees
from pipelines.account.code import Code
from pipelines.account.original import Opened, Original
from pipelines.account.pins import pins, refuse_other_interpreter
from pipelines.account.rescore import PLAN, Asked, read_frame, write_frame
from pipelines.account.sandbox import Kind, Sandbox, choose
from pipelines.environments import model_python
from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.layout import State
from pipelines.records import Environment, Record
from pipelines.typed import read_json
from pipelines.whole_file import write_whole

DRIVER: Final = "pipelines.account.rescore"
BY_PLAN: Final = "pipelines.account.rescore_by_plan"
CPU: Final = Path("/proc/cpuinfo")
TOLD: Final = ("flags", "Features", "model name", "model\t")
# What is in a sandbox is not trusted to answer soon, or in a size that fits into memory.
ANSWER_SECONDS: Final = 900.0
ANSWER_BYTES: Final = 1 << 30
END_SECONDS: Final = 10.0

Loaded = Literal["model", "plan"]


@dataclass(frozen=True, slots=True)
class Where:
    """What replaying works on: state folder, checkout, registry; and how strict it is."""

    state: State
    repository: Path
    registry: Opened
    sandbox: Kind | None = None
    other_interpreter: bool = False
    present_code: bool = False
    from_model: bool = False


class Surroundings(Record, frozen=True):
    """In what a replay ran, and what of it is not as it was.

    `code` is the version's own commit, or, `present`, the digest of the code that runs now. What
    was loaded to score is the model, or the plan that was taken out of it and kept; beside a plan
    no BLAS takes part.
    `missing` are features of the recorded processor that this one lacks.
    """

    sandbox: Kind
    network: bool
    read_only: bool
    whose_code: str
    code: str
    lock_sha256: str
    python: str
    other_interpreter: bool
    other_packages: bool
    missing: tuple[str, ...]
    pinned: dict[str, str]
    blas: tuple[str, ...]
    loaded: Loaded = "model"


@dataclass(frozen=True, slots=True)
class Again:
    """A process that decides again by one version. Send a block, then receive it."""

    surroundings: Surroundings
    _process: subprocess.Popen[bytes] = field(repr=False)
    _errors: IO[bytes] = field(repr=False)

    def send(self, block: Sequence[Asked]) -> None:
        """Hand over a block of requests; receive it before the next one is sent."""
        assert self._process.stdin is not None  # noqa: S101 - opened with a pipe
        try:
            write_frame(self._process.stdin, msgspec.msgpack.encode(list(block)))
        except BrokenPipeError:
            raise _died(self._process, self._errors) from None

    def plan(self) -> bytes:
        """Return the version's plan as JSON."""
        assert self._process.stdin is not None  # noqa: S101 - opened with a pipe
        write_frame(self._process.stdin, PLAN)
        return _answer(self._process, self._errors)

    def receive(self) -> list[bytes]:
        """Return the decisions about the block, each as JSON with sorted names."""
        answer = _answer(self._process, self._errors)
        found: list[bytes] = msgspec.msgpack.decode(answer, type=list[bytes])
        return found


@contextmanager
def again(where: Where, version: Original, plan: Path | None = None) -> Iterator[Again]:
    """Start a version's process, which scores by the kept `plan` where its code knows how to.

    Raises Unavailable, NotThere, or IntegrityBroken.
    """
    recorded = read_json(version.files.environment, Environment)
    python = _resolved(model_python(version.files.lock, where.state))
    trees = _code(where, version.record.commit, python)
    box = choose(where.sandbox)
    pinned = pins(recorded, _features(where.state, _Job(box, trees, version, python)))
    plan = plan if trees.knows_plans else None
    job = _Job(box, trees, version, python, plan)
    with _started(job, pinned.variables) as (process, errors, found):
        other = refuse_other_interpreter(recorded, found, allow=where.other_interpreter)
        yield Again(
            Surroundings(
                sandbox=box.kind,
                network=box.network,
                read_only=box.read_only,
                whose_code=trees.whose,
                code=trees.name,
                lock_sha256=found.lock_sha256,
                python=found.python,
                other_interpreter=other,
                other_packages=found.packages != recorded.packages,
                missing=pinned.missing,
                pinned=pinned.variables,
                blas=found.blas,
                loaded="plan" if plan else "model",
            ),
            process,
            errors,
        )


def _resolved(python: Path) -> Path:
    """Return an environment's Python under the one name its folder has in the sandbox too."""
    return python.parent.parent.resolve() / "bin" / python.name


def _code(where: Where, commit: str, python: Path) -> Code:
    kept = None
    if not where.present_code:
        kept = code_trees.recorded(where.repository, commit, where.state, python)
    return kept or code_trees.present(where.repository, where.state, python)


@dataclass(frozen=True, slots=True)
class _Job:
    """What a process is started with: where, whose code, which version, by model or kept plan."""

    box: Sandbox
    trees: Code
    version: Original
    python: Path
    plan: Path | None = None

    @property
    def words(self) -> list[str]:
        files, record = self.version.files.folder.resolve(), self.version.record
        words = [str(files), record.canonical().decode(), str(self.trees.params)]
        driver = [BY_PLAN, *words, str(self.plan.resolve())] if self.plan else [DRIVER, *words]
        return [str(self.python), "-P", "-s", "-m", *driver]

    @property
    def files(self) -> list[Path]:
        """What the process may read."""
        environment, interpreter = self.python.parent.parent, self.python.resolve().parent.parent
        found = [environment, interpreter, self.trees.folder, self.version.files.folder]
        return [each.resolve() for each in (*found, *([self.plan] if self.plan else []))]


def _features(state: State, job: _Job) -> tuple[str, ...]:
    """Return what the environment finds this processor able to do without pins; asked once."""
    asked = hashlib.sha256(f"{job.python}\n".encode() + _processor()).hexdigest()[:32]
    kept = state.environments / f"features-{asked}.json"
    if not kept.is_file():
        with _started(job, {}) as (_, _, found):
            write_whole(kept, msgspec.json.encode(found.cpu_features))
    return read_json(kept, tuple[str, ...])


def _processor() -> bytes:
    """Return what tells one processor from another; empty where the system does not say."""
    lines = CPU.read_text(encoding="utf-8").splitlines() if CPU.is_file() else []
    return "\n".join(sorted({line for line in lines if line.startswith(TOLD)})).encode()


@contextmanager
def _started(
    job: _Job, variables: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], Environment]]:
    told = {"PYTHONPATH": str(job.trees.folder), "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}
    command = job.box.command(job.words, job.files, told | dict(variables))
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            described = _answer(process, errors)
            yield process, errors, msgspec.json.decode(described, type=Environment)
        finally:
            _end(process)


def _answer(process: subprocess.Popen[bytes], errors: IO[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    late = threading.Timer(ANSWER_SECONDS, process.kill)
    late.daemon = True
    late.start()
    try:
        found = read_frame(process.stdout, ANSWER_BYTES)
    finally:
        late.cancel()
    if found is None:
        raise _died(process, errors)
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    _exit_code(process)


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Return how a process ended; one that does not end by itself is killed."""
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _died(process: subprocess.Popen[bytes], errors: IO[bytes]) -> Exception:
    """Return the error for a process that ended early, by name alone: texts may quote data."""
    code = _exit_code(process)
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    # An error of Clew's goes on over indented lines; its name stands at the start of the first.
    last = next((line for line in reversed(lines) if not line[:1].isspace()), "no message")
    name = last.partition(":")[0]
    kind = IntegrityBroken if name.endswith("IntegrityBroken") else Unavailable
    return kind(
        "the version could not decide again in its own environment",
        where=f"exit code {code}",
        observed=name,
        hint="clew replay ID --present-code",
    )
