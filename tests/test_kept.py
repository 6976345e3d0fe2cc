"""What Clew wrote is read years later: every kind that is kept, by the example in tests/kept.

An example is never changed. Where a field has to be added, or more, docs/adr/0012-kept-records.md
says how; then this stays green.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.canonical import sha256_bytes
from pipelines.errors import IntegrityBroken
from pipelines.records import Approval, Record
from pipelines.release.version_files import Declared
from pipelines.typed import read_json
from tests.conftest import ROOT
from tests.kept import examples

KINDS = examples.kinds()
NAMES = {examples.name(kind): kind for kind in KINDS}
# Named by the bytes that were written, never by an id taken again: their sections gain settings.
BY_BYTES = (Declared,)
RECORDS = [kind for kind in KINDS if issubclass(kind, Record) and kind not in BY_BYTES]


@pytest.mark.parametrize("kind", KINDS, ids=examples.name)
def test_what_was_kept_is_read(kind: type[msgspec.Struct]) -> None:
    """A record that an older release wrote is one of this release's too."""
    lines = examples.file(kind).read_bytes().splitlines()
    assert lines
    for line in lines:
        assert isinstance(msgspec.json.decode(line, type=kind, strict=True), kind)


@pytest.mark.parametrize("kind", RECORDS, ids=examples.name)
def test_what_was_kept_has_the_id_it_had(kind: type[Record]) -> None:
    """Approvals, verdicts and the trail name records by their ids: those of old ones stay."""
    for line in examples.file(kind).read_bytes().splitlines():
        assert sha256_bytes(line) == msgspec.json.decode(line, type=kind, strict=True).id


def test_every_example_is_of_a_kind_that_is_there() -> None:
    """A kind that was renamed or taken out leaves records that nobody can read."""
    assert sorted(NAMES) == sorted(path.stem for path in examples.FOLDER.glob("*.jsonl"))
    assert 35 <= len(KINDS)


def test_a_field_that_old_records_do_not_have_is_noticed() -> None:
    """The example of today fails for a release that needs more, less or something else."""
    (line,) = examples.examples(Approval)
    more = msgspec.defstruct("More", [("role", str)], bases=(Approval,))
    fewer = msgspec.defstruct("Fewer", [("verdict_id", str)], forbid_unknown_fields=True)
    for changed in (more, fewer):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(line, type=changed, strict=True)


@pytest.mark.parametrize(
    ("field", "config"),
    [
        (("role", str | msgspec.UnsetType, msgspec.UNSET), {}),
        (("role", str, "nobody said"), {"omit_defaults": True}),
    ],
)
def test_a_field_may_be_added_as_the_decision_record_says(
    field: tuple[str, Any, Any], config: dict[str, Any]
) -> None:
    """What is left out while it has its default leaves old records readable, under their ids."""
    config = config | {"frozen": True, "kw_only": True}
    (line,) = examples.examples(Approval)
    more = msgspec.defstruct("More", [field], bases=(Approval,), **config)
    found = msgspec.json.decode(line, type=more, strict=True)
    assert isinstance(found, Approval)
    assert sha256_bytes(line) == found.id


def test_a_record_that_cannot_be_read_says_which_code_reads_it(tmp_path: Path) -> None:
    """Whoever restores a record of another release does not take it for a forged one."""
    path = tmp_path / "approval.json"
    path.write_text('{"of":"a later release"}')
    with pytest.raises(IntegrityBroken) as caught:
        read_json(path, Approval)
    assert "the code of its run's commit (docs/adr/0012-kept-records.md)" in caught.value.hint
    assert (ROOT / "docs" / "adr" / "0012-kept-records.md").is_file()
