"""A version is loaded by content, whole or not at all, and swapped as a whole."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import Standing, load
from pipelines.errors import GateRefused, IntegrityBroken
from pipelines.model import score
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from pipelines.params import DecideParams
from pipelines.records import PlanProof
from pipelines.typed import read_json
from tests.decisions.versions import application, loaded, write
from tests.model.small import made, people

KINDS: tuple[MarginKind, ...] = ("linear", "trees")


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_version_scores_as_it_was_trained(tmp_path: Path, kind: MarginKind) -> None:
    """By its proven plan, to the bit, at the operating point of its record."""
    model = loaded(tmp_path, kind)
    assert "plan" == model.name.scorer
    assert made(kind).trained.threshold == model.threshold
    expected = score.margins(made(kind).trained.model, people().iloc[:20], kind)
    observed = [model.margin(row) for row in rows(people().iloc[:20], model.candidate.features)]
    assert expected.tolist() == observed


def _no_proof(path: Path) -> None:
    path.unlink()


def _unproven(path: Path) -> None:
    proof = read_json(path, PlanProof)
    msgspec.structs.replace(proof, proven=False, differing=1, because="1 row").write(path)


def _of_another_plan(path: Path) -> None:
    msgspec.structs.replace(read_json(path, PlanProof), plan_sha256="0" * 64).write(path)


def _of_another_model(path: Path) -> None:
    msgspec.structs.replace(read_json(path, PlanProof), model_sha256="0" * 64).write(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [_no_proof, _unproven, _of_another_plan, _of_another_model])
def test_without_a_proof_of_this_plan_scikit_learn_scores(
    tmp_path: Path, kind: MarginKind, change: object
) -> None:
    """The decision says so, and the margin is the same to the bit, one row at a time."""
    files, record = write(tmp_path, kind)
    change(files.plan_proof)  # type: ignore[operator]
    model = load(files, record, DecideParams())
    assert "scikit-learn" == model.name.scorer
    some = list(rows(people().iloc[:8], model.candidate.features))
    assert [model.plan.margin(row) for row in some] == [model.margin(row) for row in some]
    found = decide(Standing(model), application(), "r", Holdout())
    assert ("scikit-learn", "score") == (found.model.scorer, found.because)


@pytest.mark.parametrize("name", ["model", "reference", "record"])
def test_a_changed_file_is_no_version(tmp_path: Path, name: str) -> None:
    """One byte more in a file that a record names, and nothing is loaded."""
    files, record = write(tmp_path, "linear")
    path: Path = getattr(files, name)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(IntegrityBroken):
        load(files, record, DecideParams())


def test_the_contract_is_another_file_of_the_folder(tmp_path: Path) -> None:
    """A decision names the digest of the contract that it was admitted under."""
    model = loaded(tmp_path)
    assert (
        model.contract.sha256
        == decide(Standing(model), application(), "r", Holdout()).contract_sha256
    )


def test_a_model_of_another_version_is_refused(tmp_path: Path) -> None:
    """A record that names another model than its candidate is broken."""
    files, record = write(tmp_path, "linear")
    with pytest.raises(IntegrityBroken):
        load(files, msgspec.structs.replace(record, model_sha256="0" * 64), DecideParams())


def test_a_version_without_reasons_may_not_decide(tmp_path: Path) -> None:
    """Whoever cannot say why decides about nobody."""
    files, record = write(tmp_path, "linear", reference_sha256=None)
    with pytest.raises(GateRefused):
        load(files, record, DecideParams())


def test_the_refer_band_comes_with_the_version(tmp_path: Path) -> None:
    """Half of its width lies to each side of the operating point."""
    model = loaded(tmp_path, refer_band=(0.5).hex())
    assert (model.threshold - 0.25, model.threshold + 0.25) == (
        model.decline_below,
        model.approve_from,
    )


def test_a_snapshot_cannot_be_changed(tmp_path: Path) -> None:
    """Neither a loaded model nor who stands may be assigned to."""
    model = loaded(tmp_path)
    with pytest.raises(AttributeError):
        model.threshold = 0.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Standing(model).champion = model  # type: ignore[misc]


def test_each_decision_names_the_model_that_scored_it(tmp_path: Path) -> None:
    """While versions are swapped under many requests, no margin is told under another's name."""
    models = [
        loaded(tmp_path / kind, kind, number) for kind, number in zip(KINDS, "12", strict=True)
    ]
    row = models[0].admission.admit(application()).values
    expected = {model.name.version: model.margin(row).hex() for model in models}
    current, wrong, seen = [Standing(models[0])], [], set()
    done = threading.Event()

    def swap() -> None:
        for turn in range(400):
            current[0] = Standing(models[turn % 2])
        done.set()

    def ask() -> None:
        while not done.is_set():
            found = decide(current[0], application(), "r", Holdout())
            seen.add(found.model.version)
            if (found.margin, found.model) != (
                expected[found.model.version],
                models[int(found.model.version) - 1].name,
            ):
                wrong.append(found.model.version)

    threads = [threading.Thread(target=each) for each in (ask, ask, swap)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong
    assert seen <= {"1", "2"}
    assert expected["1"] != expected["2"]


def test_the_probability_is_scikit_learns_to_sixteen_ulp(tmp_path: Path) -> None:
    """Trees: predict_proba's bits. Linear: 16 units in the last place, for BLAS adds otherwise."""
    for kind, most in (("linear", 16), ("trees", 0)):
        model = loaded(tmp_path / kind, kind)  # type: ignore[arg-type]
        frame = score.prepare(model.model.named_steps["columns"], people().iloc[:200])
        expected = model.model.predict_proba(frame)[:, 1]
        margins = [model.margin(row) for row in rows(people().iloc[:200], model.plan.inputs)]
        observed = score.probabilities(np.array(margins))
        away = np.abs(observed - expected) / np.spacing(expected)
        assert away.max() <= most


def test_a_version_is_what_its_files_say(tmp_path: Path) -> None:
    """Names in the decision are those of the record and the candidate, read from the files."""
    files, record = write(tmp_path, "linear", number="7")
    name = load(files, record, DecideParams()).name
    candidate = json.loads(files.record.read_text())
    assert ("people", "7", record.candidate_id, candidate["model_sha256"]) == (
        name.model_name,
        name.version,
        name.candidate_id,
        name.model_sha256,
    )
