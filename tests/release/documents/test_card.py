"""Model cards: every figure is its record's, what is unknown is MISSING, texts stay texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipelines.canonical import sha256_file
from pipelines.documentation import Documentation, ResidualRisk
from pipelines.records import ModelVersion
from pipelines.release.documents import crosswalk, markdown, page, template, write
from pipelines.release.documents.declared import of_people
from pipelines.release.documents.fact import Fact, Row, Source, Table
from pipelines.release.documents.standing import of_version
from pipelines.release.version_files import Declared, VersionFiles, fetched, record_id
from pipelines.typed import read_json
from tests.release.versions import Bench

PLANTED = "</script><script>alert(1)</script>"


@pytest.fixture
def registered(quick: Bench, tmp_path: Path) -> tuple[ModelVersion, VersionFiles]:
    """Register a version and fetch its files back."""
    found = quick.registered()
    return found, fetched(quick.registry, found, tmp_path / "version")


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row of a Markdown text."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in lines]


def test_a_registered_version_carries_its_card(
    registered: tuple[ModelVersion, VersionFiles],
) -> None:
    """Registering writes the card in both forms among the files that the version's digest binds."""
    _, files = registered
    names = sorted(path.name for path in files.documents.iterdir())
    assert ["model-card.html", "model-card.md"] == names


def test_a_figure_is_the_one_of_the_record_that_it_cites(
    registered: tuple[ModelVersion, VersionFiles],
) -> None:
    """The ROC AUC on the card, its interval and its digest are those of the version's metrics."""
    _, files = registered
    card = (files.documents / "model-card.md").read_text()
    (row,) = [each for each in rows(card) if each[0] == "ROC AUC"]
    auc = json.loads(files.metrics.read_bytes())["overall"]["measures"]["roc_auc"]
    digest = sha256_file(files.metrics)
    expected = f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})"
    assert ["ROC AUC", expected, f"metrics {digest[:12]}"] == row
    assert ["metrics", f"`{digest}`"] in rows(card)


def test_every_source_on_a_card_is_the_digest_of_a_file_or_record_of_the_version(
    registered: tuple[ModelVersion, VersionFiles],
) -> None:
    """No id on a card stands for nothing: each is a file's, a record's or a part's of a record."""
    _, files = registered
    declared = read_json(files.declared, Declared)
    there = [path for path in files.folder.rglob("*") if path.is_file()]
    digests = {sha256_file(path) for path in there} | {record_id(path) for path in there}
    digests |= {declared.recipe.sha256}
    made = write.document(write.CARD, write.known(files), "x")
    kinds = {each.kind for each in made.sources if each.id not in digests}
    assert set() == kinds


def test_what_nobody_said_is_missing_and_counted(
    registered: tuple[ModelVersion, VersionFiles],
) -> None:
    """An empty purpose is MISSING, with the place to say it; said, it is there and counts."""
    _, files = registered
    known = write.known(files)
    silent = write.document(write.CARD, known, "x")
    spoken = known | of_people(Documentation(purpose="Lend.", limitations="  "))
    told = write.document(write.CARD, spoken, "x")
    assert ["Intended purpose", "**MISSING**", "params.yaml: documentation.purpose"] in rows(
        markdown.write(silent)
    )
    assert "Lend." in markdown.write(told)
    assert len(silent.missing) - 1 == len(told.missing)
    assert f"{len(told.places) - len(told.missing)} of {len(told.places)} fields filled" == (
        told.summary
    )


def test_a_fact_that_a_template_names_and_nothing_knows_is_missing() -> None:
    """A document is filled from facts alone: with none, every place is MISSING."""
    for kind in template.names():
        made = template.fill(template.read(kind), {}, "x")
        assert (len(made.places), ()) == (len(made.missing), made.sources), kind


def test_every_place_of_a_template_can_be_filled(
    quick: Bench, registered: tuple[ModelVersion, VersionFiles]
) -> None:
    """No template asks for a fact by a name that nothing ever has, but what this world lacks."""
    version, files = registered
    quick.approved(version)
    said = {name: "said" for name in Documentation.__struct_fields__ if name != "residual_risks"}
    risk = ResidualRisk(risk="r", accepted_by="Ada", because="b")
    people = of_people(Documentation(**said, residual_risks=(risk,)))
    known = write.known(files) | people | of_version(quick.registry, version)
    known |= crosswalk.of_version(known)
    asked = {
        name
        for kind in template.names()
        for section in template.read(kind).sections
        for name in (*section.fields.values(), *section.tables.values())
    }
    assert LACKING == asked - known.keys()


# A model just trained: never champion, on an empty training report, with no retention in its pack.
LACKING = {
    "environment.blas",
    "environment.cpu",
    "environment.system",
    "modification.declared",
    "policy.incident",
    "policy.retention",
    "risks",
    "training.against",
    "training.roc_auc",
    "training.rows",
    "training.trade_off",
    "version.tenures",
    "watch.bounds",
    "watch.last",
}


def test_a_label_out_of_the_data_cannot_become_markup() -> None:
    """A script planted in every text that a card can hold is shown as text, in both forms."""
    text = f"{PLANTED} | [x](http://evil.example)"
    source = Source("check bias", "0" * 64)
    table = Table(text, (text,), (Row((text,), source, "../checks/bias.html"),))
    found = write.document(write.CARD, {"checks": table, "model.recipe": Fact(text, source)}, text)
    for shown in (markdown.write(found), page.write(found)):
        assert "<script" not in shown
        assert 5 <= shown.count("&lt;script&gt;")
    assert r"\[x\](http\://evil.example)" in markdown.write(found)


def test_a_page_asks_nobody_for_anything(registered: tuple[ModelVersion, VersionFiles]) -> None:
    """The page loads nothing: no script, no picture, no sheet, no address of another place."""
    _, files = registered
    text = (files.documents / "model-card.html").read_text()
    assert "default-src 'none'" in text
    assert [] == re.findall(r"<(?:script|img|link|iframe)|src=|https?://|@import|url\(", text)


def test_the_card_knows_who_approved_once_somebody_did(
    quick: Bench, registered: tuple[ModelVersion, VersionFiles]
) -> None:
    """Before, the approver is MISSING; after, name and reason stand there with the record's id."""
    version, files = registered
    before = write.document(
        write.CARD, write.known(files) | of_version(quick.registry, version), "x"
    )
    given = quick.approved(version)
    after = write.document(
        write.CARD, write.known(files) | of_version(quick.registry, version), "x"
    )
    assert ["Approved by", "**MISSING**", "no record says so"] in rows(markdown.write(before))
    shown = rows(markdown.write(after))
    assert ["Approved by", "Ada", f"approval {given.id[:12]}"] in shown
    assert ["Reason of the approval", given.reason, f"approval {given.id[:12]}"] in shown


def test_technical_documentation_has_the_nine_sections() -> None:
    """Annex IV has nine points, and the instructions for use of Article 13 follow."""
    headings = [each.heading for each in template.read("technical-documentation").sections]
    assert [f"{number}." for number in range(1, 10)] == [each[:2] for each in headings[:9]]
    assert "Instructions for use (Article 13)" == headings[9]
