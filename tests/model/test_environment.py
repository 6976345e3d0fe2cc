"""The record of the model's environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.canonical import sha256_file
from pipelines.errors import NotThere
from pipelines.model import environment

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "infra" / "locks" / "model.lock"
STEPS = "pipelines.model.train, pipelines.model.evaluate"
DESCRIBE = f"""
import sys
from pathlib import Path
import {STEPS}
from pipelines.model import environment
print(environment.describe(Path({str(LOCK)!r})).canonical().decode())
"""


def test_the_steps_run_on_the_model_lock_alone(in_model_environment: Callable[..., str]) -> None:
    """Train and evaluate import in an environment that holds the model's lock and nothing else."""
    code = f"import sys, {STEPS}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = in_model_environment(code).split()
    assert {"sklearn", "skops", "fairlearn", "msgspec"} <= set(loaded)
    assert set() == {"mlflow", "dvc", "evidently", "airflow", "pandera", "pydantic"} & set(loaded)


def test_the_record_names_what_the_lock_pins(in_model_environment: Callable[..., str]) -> None:
    """Every package of the lock stands in the record with its version."""
    record = json.loads(in_model_environment(DESCRIBE))
    pins = [line.split()[0] for line in LOCK.read_text().splitlines() if "==" in line]
    pinned = {pin.split("==")[0] for pin in pins}
    assert pinned <= set(record["packages"])
    assert set() == {f"{name}=={record['packages'][name]}" for name in pinned} - set(pins)
    assert sha256_file(LOCK) == record["lock_sha256"]


def test_the_determinism_manifest_is_of_this_process(
    in_model_environment: Callable[..., str],
) -> None:
    """Kernel and thread count are those that run, not those that were meant to."""
    chosen = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    record = json.loads(in_model_environment(DESCRIBE, **chosen))
    kernels = [each for each in record["blas"] if "openblas" in each]
    assert kernels
    assert all("Haswell" in each and each.endswith(" 1") for each in kernels)
    assert chosen == {name: record["threads"][name] for name in chosen}
    assert record["cpu_features"]
    assert record["libc"]


def test_the_record_holds_no_path() -> None:
    """A place on a machine is no part of an environment."""
    assert b"/" not in environment.describe(LOCK).canonical().replace(b"GNU/Linux", b"")


def test_a_variable_that_is_not_set_is_said_to_be_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset is a setting too: the library then chooses."""
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert environment.UNSET == environment.describe(LOCK).threads["MKL_NUM_THREADS"]


def test_without_a_lock_there_is_no_record(tmp_path: Path) -> None:
    """An environment that nothing pins is not described as if something did."""
    with pytest.raises(NotThere):
        environment.describe(tmp_path / "model.lock")
