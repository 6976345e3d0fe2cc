"""The runbook has a page for each alarm, and no command in it is made up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.cli.main import COMMANDS
from pipelines.errors import TREE
from tests.infra.test_stack_files import COMPOSE

RUNBOOK = Path(__file__).resolve().parent.parent.parent / "infra" / "runbook"
PAGES = sorted(each for each in RUNBOOK.glob("*.md") if each.name != "README.md")
ALARMS = {
    "ledger-stopped",
    "integrity-broken",
    "disk-full",
    "registry-unreachable",
    "drift-or-bias-alarm",
    "bounds-stop",
    "contest-overdue",
    "replay-differs",
    "key-lost",
    "champion-undo",
    "backup-and-restore",
}
PARTS = ["What it means", "First look", "Safe action", "Who to tell"]


def test_every_exit_code_and_alarm_has_a_page() -> None:
    """Whatever ends a task red, and whatever the watch or the audit tells, can be looked up."""
    names = {each.stem for each in PAGES}
    for kind in TREE:
        found = [name for name in names if name.startswith(f"exit-{kind.exit_code}-")]
        assert 1 == len(found), kind.__name__
    assert ALARMS == {name for name in names if not name.startswith("exit-")}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_has_the_four_parts_in_order(page: Path) -> None:
    """Means, look, act, tell; a command to look with; and what never to do."""
    text = page.read_text()
    assert PARTS == re.findall(r"^## (.+)$", text, re.MULTILINE)
    look = text.split("## First look\n")[1].split("## ")[0]
    assert look.startswith("```\n")
    assert "\n**Never**: " in text


@pytest.mark.parametrize("page", [*PAGES, RUNBOOK / "README.md"], ids=lambda path: path.stem)
def test_commands_containers_and_links_exist(page: Path) -> None:
    """Each `clew` command, each container and each page that a page names is there."""
    text = page.read_text()
    quoted = _quoted(text)
    for name in re.findall(r"(?:^|\s)clew ([a-z][a-z-]+)", quoted, re.MULTILINE):
        assert name in COMMANDS, name
    for name in re.findall(r"clew_([a-z-]+)_1", text):
        assert name in COMPOSE["services"], name
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).exists(), link


def test_the_index_names_every_page() -> None:
    """No page is found by luck alone."""
    index = (RUNBOOK / "README.md").read_text()
    assert [] == [each.name for each in PAGES if f"({each.name})" not in index]


def _quoted(text: str) -> str:
    """Return what stands in code marks, blocks and lines alike."""
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])
