"""The crosswalk: no control without evidence, a command that is there and a test that is there."""

from __future__ import annotations

from pipelines.cli.main import COMMANDS
from pipelines.release.documents import crosswalk, template
from pipelines.release.documents.fact import Fact, Source
from pipelines.release.documents.template import MISSING
from tests.conftest import ROOT

CONTROLS = [control for text in crosswalk.texts() for control in text.controls]


def test_every_control_names_evidence_a_command_and_a_test_that_are_there() -> None:
    """Nothing in the table is a promise: the command runs, the file of tests stands."""
    asked = {
        name
        for kind in template.names()
        for section in template.read(kind).sections
        for name in (*section.fields.values(), *section.tables.values())
    }
    for each in CONTROLS:
        commands = [one.split()[1] for one in each.command.split(";")]
        assert set() == set(commands) - COMMANDS.keys(), each.control
        assert (ROOT / each.test).is_file(), each.control
        assert each.evidence, each.control
        assert set() == set(each.evidence) - asked - {"policy.contest"}, each.control


def test_evidence_is_named_by_the_id_of_its_record_or_missing() -> None:
    """A version's table carries the record of each fact; what is not known is MISSING."""
    known = {"policy.tier": Fact("high", Source("policy pack", "a" * 64))}
    table = crosswalk.of_version(known)["crosswalk"]
    cells = {row.cells[0]: row.cells[1] for row in table.rows}
    (tier,) = [text for name, text in cells.items() if "risk tier" in name]
    assert "policy.tier (policy pack aaaaaaaaaaaa)" == tier
    rest = [text for text in cells.values() if text != tier]
    assert [] == [text for text in rest if MISSING not in text]
