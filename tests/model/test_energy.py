"""What a training costs: measured where the machine tells it, else estimated, bound nowhere."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipelines.canonical import sha256_tree
from pipelines.layout import Layout
from pipelines.model import energy, train
from pipelines.model.energy import Energy, Meter
from pipelines.typed import read_json
from tests.model.conftest import context

KWH = 3.6e12  # micro-joules


def counter(folder: Path, used: int, wraps: int = 1_000_000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{used}\n")
    (folder / "max_energy_range_uj").write_text(f"{wraps}\n")


def test_without_counters_energy_is_estimated_and_says_so(tmp_path: Path) -> None:
    """CPU time times the stated wattage of a busy core; waiting costs nothing."""
    meter = Meter(20.0, tmp_path)
    while time.process_time() - meter.cpu < 0.05:
        sum(range(1000))
    time.sleep(0.05)
    found = meter.read()
    assert ("estimated (CPU time)", 20.0) == (found.method, found.watts)
    assert found.cpu_seconds >= 0.05
    assert found.wall_seconds >= found.cpu_seconds - 0.01
    assert found.cpu_seconds * 20.0 / 3.6e6 == found.kwh


def test_with_counters_energy_is_measured(tmp_path: Path) -> None:
    """All packages are added up; the parts of one are not counted again."""
    counter(tmp_path / "intel-rapl:0", 100)
    counter(tmp_path / "intel-rapl:1", 500)
    counter(tmp_path / "intel-rapl:0:0", 7)
    meter = Meter(20.0, tmp_path)
    counter(tmp_path / "intel-rapl:0", 400)
    counter(tmp_path / "intel-rapl:1", 700)
    counter(tmp_path / "intel-rapl:0:0", 9000)
    found = meter.read()
    assert ("measured (RAPL, whole packages)", None) == (found.method, found.watts)
    assert 500 / KWH == pytest.approx(found.kwh)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": (10, 100)}, {"a": (30, 100)}, 20e-6),
        ({"a": (90, 100)}, {"a": (20, 100)}, 30e-6),
        ({}, {}, None),
        ({}, {"a": (1, 100)}, None),
        ({"a": (1, 100)}, {}, None),
        ({"a": (1, 100)}, {"b": (2, 100)}, None),
    ],
)
def test_counters_wrap_and_may_be_missing(
    before: energy.Counters, after: energy.Counters, expected: float | None
) -> None:
    """A counter that wrapped went on from nothing; without the same counters nothing is told."""
    found = energy.joules(before, after)
    assert expected == (None if found is None else pytest.approx(found))


def test_a_counter_that_is_no_number_is_no_measurement(tmp_path: Path) -> None:
    """One package that cannot be read makes the whole an estimate, never a part of it."""
    counter(tmp_path / "intel-rapl:0", 100)
    counter(tmp_path / "intel-rapl:1", 100)
    assert 2 == len(energy.packages(tmp_path))
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("")
    assert {} == energy.packages(tmp_path)


def test_each_training_is_measured_and_the_candidate_stays_the_same(
    checkout: Layout,
) -> None:
    """The cost stands outside the candidate, whose files are the same bytes each time."""
    run = context(checkout.root)
    digests, costs = [], []
    for _ in range(2):
        train.run(run)
        digests.append(sha256_tree(checkout.candidate))
        costs.append(read_json(checkout.training_energy, Energy))
    assert digests[0] == digests[1]
    assert costs[0] != costs[1]
    assert min(each.kwh for each in costs) > 0.0
    assert not checkout.training_energy.is_relative_to(checkout.candidate)
