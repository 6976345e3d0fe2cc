"""The map of the flow, and everything that must agree with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from pipelines import flow
from pipelines.cli.look import dvc_yaml
from pipelines.errors import BadRequest

ROOT = Path(__file__).resolve().parent.parent


def test_dvc_yaml_is_what_the_map_says() -> None:
    """dvc.yaml is generated; an edit by hand, or a forgotten `clew flow --write`, shows here."""
    assert dvc_yaml() == (ROOT / "dvc.yaml").read_text()


def test_each_step_is_a_module_of_its_name() -> None:
    """A step's name is its module's last word, and the module exists with a run function."""
    for step in flow.STEPS:
        assert step.name == step.module.rsplit(".", 1)[-1]
        assert importlib.util.find_spec(step.module), step.module
        source = (ROOT / f"{step.module.replace('.', '/')}.py").read_text()
        assert "\ndef run(" in source, step.module


def test_steps_that_refuse_say_how() -> None:
    """A step with a refusal has the function that gives it."""
    for step in flow.STEPS:
        source = (ROOT / f"{step.module.replace('.', '/')}.py").read_text()
        assert step.refusal == ("\ndef refusal(" in source), step.name


def test_every_dependency_in_dvc_yaml_exists_or_is_made() -> None:
    """A stage depends on tracked files or on another stage's outputs, never on a wish."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    made = {out for stage in stages.values() for out in stage["outs"]} | {"data/landed"}
    for name, stage in stages.items():
        for dep in stage["deps"]:
            inside = any(dep == out or dep.startswith(f"{out}/") for out in made)
            assert inside or (ROOT / dep).exists(), f"{name}: {dep}"


def test_every_read_of_an_output_comes_from_upstream() -> None:
    """Data flows downstream: what a step reads was written by a step before it."""
    written: set[str] = set()
    outputs = {name for step in flow.STEPS for name in step.writes}
    for step in flow.STEPS:
        assert outputs.intersection(step.reads) <= written, step.name
        written.update(step.writes)


def test_wrong_name_gets_the_closest() -> None:
    """A mistyped step is answered with the one that was meant."""
    with pytest.raises(BadRequest) as caught:
        flow.step("evalute")
    assert "did you mean 'evaluate'?" == caught.value.hint
