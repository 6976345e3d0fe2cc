"""The pages fail before they lie."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from pipelines import errors, flow
from pipelines.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
PATH = re.compile(r"`((?:pipelines|dags|policies|infra|docs|tests|examples|benchmarks)/[\w./-]+)`")


def test_reference_is_what_the_code_says() -> None:
    """Every generated page equals what the generator writes from the code now."""
    made = runpy.run_path(str(DOCS / "reference" / "generate.py"))["pages"]()
    found = {name: (DOCS / "reference" / name).read_text() for name in made}
    assert made == found, "run: python docs/reference/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    """A link or a path named in a page exists."""
    text = page.read_text()
    links = [page.parent / found for found in LINK.findall(text)]
    paths = [ROOT / found for found in PATH.findall(text)]
    missing = [str(each) for each in [*links, *paths] if not each.exists()]
    assert [] == missing


def test_every_page_is_listed() -> None:
    """docs/README.md names every page, so that none is found by luck only."""
    index = (DOCS / "README.md").read_text()
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    missing = [page for page in pages if page != "README.md" and f"({page})" not in index]
    assert [] == missing


def test_every_command_step_and_error_is_documented() -> None:
    """The reference has a heading or a row for each."""
    commands = (DOCS / "reference" / "commands.md").read_text()
    assert [] == [name for name in COMMANDS if f"## `clew {name}" not in commands]
    rows = (DOCS / "reference" / "flow.md").read_text()
    assert [] == [name for name in flow.NAMES if f"| `{name}` |" not in rows]
    tree = (DOCS / "reference" / "errors.md").read_text()
    kinds = [
        kind.__name__
        for kind in errors.ClewError.__subclasses__()
        if kind.__module__ == errors.__name__
    ]
    assert [] == [name for name in kinds if f"`{name}`" not in tree]


def test_commands_named_in_pages_exist() -> None:
    """`clew something` in a page is a command there is."""
    for page in PAGES:
        for name in re.findall(r"`clew ([a-z-]+)", page.read_text()):
            assert name in COMMANDS, f"{page.relative_to(ROOT)}: clew {name}"
