"""What is done about findings: as the params say, once, and by whom it was done on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.decisions.service import stop as service
from pipelines.decisions.service.stop import StopSwitch
from pipelines.layout import State
from pipelines.ledger.log import Ledger
from pipelines.watch import act
from pipelines.watch.deeds import Journal
from tests.watch import pages

STOPS = pages.finding(check="bias", of="race", measure="ratio", action="stop")


@pytest.fixture
def state(tmp_path: Path) -> State:
    found = State(tmp_path / "state")
    found.home.mkdir(mode=0o700)
    return found


@pytest.fixture
def ledger(state: State) -> Iterator[Ledger]:
    wiring.prepare_ledger(state)
    found = wiring.ledger(state)
    yield found
    found.close()
    found.store.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "window" / "deeds.json")


def test_a_stop_is_thrown_by_the_watch_for_the_finding(
    state: State, ledger: Ledger, journal: Journal
) -> None:
    """Who is the watch, why is the finding, and the act is a record of the ledger."""
    switch = StopSwitch(state.stop_switch)
    why = act.stop(pages.report_of(STOPS, pages.finding()), journal, switch, ledger)
    thrown = switch.on()
    assert thrown is not None
    assert ("watch_decisions", why) == (thrown.person, thrown.reason)
    assert "window 2026-10-01--2026-11-01: bias/race/ratio" == why
    assert 1 == ledger.checkpoint()[0].size


def test_what_a_person_resumed_is_not_stopped_again(
    state: State, ledger: Ledger, journal: Journal
) -> None:
    """The same finding of the same window stops once; a new finding or version stops again."""
    switch = StopSwitch(state.stop_switch)
    act.stop(pages.report_of(STOPS), journal, switch, ledger)
    service.resume(switch, ledger, "Ada", "looked into it")
    assert "" == act.stop(pages.report_of(STOPS, decisions=401), journal, switch, ledger)
    assert switch.on() is None
    other = pages.finding(check="bias", of="sex", measure="ratio", action="stop")
    assert "sex" in act.stop(pages.report_of(STOPS, other), journal, switch, ledger)
    assert "race" not in (switch.on() or STOPS).__repr__()
    service.resume(switch, ledger, "Ada", "looked into it")
    assert act.stop(pages.report_of(STOPS, version="2"), journal, switch, ledger)


def test_nothing_is_stopped_that_does_not_ask_for_it(
    state: State, ledger: Ledger, journal: Journal
) -> None:
    """A retrain, an alert or a check that holds stops nothing, and records nothing."""
    calm = (pages.finding(), pages.finding(status="ok", action="stop"))
    assert "" == act.stop(pages.report_of(*calm), journal, StopSwitch(state.stop_switch), ledger)
    assert (False, 0) == (state.stop_switch.exists(), ledger.checkpoint()[0].size)


def test_a_retrain_is_one_request_a_window_and_version() -> None:
    """Whatever else changed in the window, the request is the same; another version's is not."""
    many = [pages.finding(of=f"c{number}") for number in range(5)]
    first, again = (act.retrain_wanted(pages.report_of(*each)) for each in (many, many[:2]))
    assert first["request"] == again["request"] == "applicants/1/2026-10-01--2026-11-01"
    assert first["reason"].endswith("drift/c0/psi, drift/c1/psi, drift/c2/psi and 2 more")
    assert first["request"] != act.retrain_wanted(pages.report_of(*many, version="2"))["request"]
    assert {} == act.retrain_wanted(pages.report_of(STOPS))
