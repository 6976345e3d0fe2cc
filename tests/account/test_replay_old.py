"""A decision of half a year ago, by a model that today's scikit-learn and numpy cannot even load.

Trained with scikit-learn 1.5 and numpy 1.26 by the code of a former commit, three versions back.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from pipelines.account import keep
from pipelines.account.again import Where
from pipelines.account.replay import replay
from pipelines.account.what_if import what_if
from pipelines.canonical import sha256_bytes, sha256_file
from pipelines.decisions.load import load
from pipelines.decisions.record import Origin, as_number, decision, draft
from pipelines.decisions.records import Decided
from pipelines.environments import model_python
from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.layout import State
from pipelines.ledger.keys import ordered_id
from pipelines.params import DecideParams
from pipelines.records import ModelVersion
from pipelines.release.version_files import VersionFiles
from tests.account.world import World, promote, register
from tests.conftest import copy_of_tree, git
from tests.decisions import versions
from tests.decisions.desks import CALL, ORIGIN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LOCK = Path(__file__).with_name("old.lock")
HALF_A_YEAR_AGO = 1_779_000_000_000
SENT = versions.application(income=2.0, self=18)
KINDS = ("linear", "trees")
# What models of that time are made of; the list of allowed types of that time had them.
THEN = """
ALLOWED |= {
    ("LossNode", "_loss", "CyHalfBinomialLoss"),
    ("NdArrayNode", "numpy", "int64"),
    ("ObjectNode", "sklearn.compose._column_transformer", "_RemainderColsList"),
}
TRUSTED.append("sklearn.compose._column_transformer._RemainderColsList")
"""


@dataclass
class Old:
    """The world of today, with a decision of then by each kind of model."""

    world: World
    where: Where
    commit: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    folder = tmp_path_factory.mktemp("old")
    world = World(folder / "world")
    repository, commit = _repository(folder)
    python = model_python(LOCK, world.state)
    ids = {kind: _decided(world, repository, commit, python, kind) for kind in KINDS}
    git(repository, "checkout", "--quiet", "main")
    for _ in range(3):
        world.version(commit=git(repository, "rev-parse", "main"))
    yield Old(world, Where(world.state, repository, world.opened), commit, ids)
    world.close()


def _repository(folder: Path) -> tuple[Path, str]:
    """Make a repository whose first commit has the code of then; return it and that commit."""
    repository = folder / "repository"
    repository.mkdir()
    copy_of_tree(repository)
    git(repository, "checkout", "--quiet", "-b", "then")
    store = repository / "pipelines" / "model" / "store.py"
    store.write_text(store.read_text().replace("\n\ndef dumps(", f"\n{THEN}\n\ndef dumps(", 1))
    shutil.copyfile(LOCK, repository / "infra" / "locks" / "model.lock")
    git(repository, "commit", "--quiet", "--all", "--message", "then")
    return repository, git(repository, "rev-parse", "HEAD")


def _decided(world: World, repository: Path, commit: str, python: Path, kind: str) -> str:
    """Train, decide and register as it was done then, and put the decision on record."""
    made = world.folder / f"then-{kind}"
    words = ["-m", "tests.account.version_folder", str(made), kind, str(LOCK), SENT.decode()]
    done = subprocess.run(
        [str(python), *words],
        cwd=repository,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    text, answer = done.stdout.splitlines()
    record = msgspec.json.decode(text, type=ModelVersion)
    version = register(
        world.registry, VersionFiles(made), record, commit=commit, run_id=f"then-{kind}"
    )
    promotion = promote(world.registry, version.version)
    decided = msgspec.json.decode(answer, type=Decided)
    named = msgspec.structs.replace(decided.model, version=version.version)
    files = VersionFiles(made)
    origin: Origin = msgspec.structs.replace(
        ORIGIN,
        version=version.version,
        files_sha256=version.files_sha256,
        model_sha256=version.model_sha256,
        commit=commit,
        environment_id=_id(files.environment),
        snapshot_id=_id(files.snapshot),
        policy_sha256=_id(files.policy),
        promotion_id=promotion.id,
    )
    made_then = decision(
        SENT, msgspec.structs.replace(decided, model=named), origin, CALL, HALF_A_YEAR_AGO
    )
    number = ordered_id()
    world.ledger.record(draft(made_then, number, HALF_A_YEAR_AGO))
    return number.hex()


def _id(path: Path) -> str:
    return sha256_bytes(path.read_bytes().rstrip(b"\n"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_out_again_in_its_own_environment_and_code(old: Old, kind: str) -> None:
    """Today's libraries refuse the model; its own give every bit of the decision, in a sandbox."""
    found = old.world.recorder.read(as_number(old.ids[kind]))
    record = old.world.registry.version(found.made.origin.version)
    with pytest.raises(IntegrityBroken, match="not on the list of allowed types"):
        load(VersionFiles(old.world.folder / f"then-{kind}"), record, DecideParams())
    receipt = replay(old.world.ledger, old.where, as_number(found.id), "Ada").receipt
    told = receipt.surroundings
    assert ("identical", ()) == (receipt.result, receipt.differences)
    assert ("recorded", old.commit) == (told.whose_code, told.code)
    assert sha256_file(LOCK) == told.lock_sha256
    assert not told.other_packages


@pytest.mark.parametrize("kind", KINDS)
def test_its_model_still_answers_what_if(old: Old, kind: str) -> None:
    """By its proven plan, taken out of it in its own environment."""
    told = what_if(old.world.ledger, old.where, as_number(old.ids[kind]), {"income": "80"}, "Ada")
    assert told.after is not None
    assert told.before.margin != told.after.margin


def test_its_environment_is_built_without_an_index(old: Old, tmp_path: Path) -> None:
    """With the wheels kept, a fresh environment comes from them alone, each checked by hash.

    Its modules are compiled, the packages' own tests are not.
    """
    state = State(tmp_path / "var")
    kept = keep.keep(LOCK, state)
    assert not kept.unchanged
    assert keep.keep(LOCK, state).unchanged
    nowhere = {"UV_INDEX_URL": "http://127.0.0.1:9", "UV_CACHE_DIR": str(tmp_path / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in nowhere.items():
            patch.setenv(name, value)
        python = model_python(LOCK, state)
    site = next((python.parent.parent / "lib").glob("python*/site-packages"))
    compiled = [(site / "numpy" / each / "__pycache__").is_dir() for each in ("lib", "lib/tests")]
    assert [True, False] == compiled
    told = subprocess.run(
        [str(python), "-c", "import sklearn, numpy; print(sklearn.__version__, numpy.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1.5.2 1.26.4" == told.stdout.strip()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in nowhere.items():
            patch.setenv(name, value)
        _refuses_a_changed_wheel(kept, tmp_path)


def _refuses_a_changed_wheel(kept: keep.Kept, tmp_path: Path) -> None:
    other = State(tmp_path / "other")
    shutil.copytree(kept.folder, other.wheels / sha256_file(LOCK))
    wheel = next((other.wheels / sha256_file(LOCK)).glob("joblib*"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(Unavailable):
        model_python(LOCK, other)
