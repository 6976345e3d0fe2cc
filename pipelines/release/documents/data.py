"""Facts of the data that a version was made from, and of what it takes as input."""

from __future__ import annotations

from pipelines.contract import Column, Contract
from pipelines.data.profile import Profile
from pipelines.records import Candidate, Snapshot, Split
from pipelines.release.documents.fact import Known, Row, Source, Table, listed, told
from pipelines.release.version_files import VersionFiles, record_id
from pipelines.typed import read_json

FEW = 5  # a group of fewer people is told without its number


def of_data(files: VersionFiles) -> Known:
    """Return the facts of a version's data, by name under ``data.``."""
    contract = read_json(files.contract, Contract)
    snapshot, split = read_json(files.snapshot, Snapshot), read_json(files.split, Split)
    candidate, profile = read_json(files.record, Candidate), read_json(files.profile, Profile)
    source = Source("contract", snapshot.contract_sha256)
    found: Known = {
        **told(
            Source("snapshot", candidate.snapshot_id),
            snapshot=candidate.snapshot_id,
            rows=f"{snapshot.rows} rows accepted, {snapshot.refused} refused by the contract",
            landed=f"landed files, record {snapshot.landed_id}",
        ),
        **told(
            Source("split", candidate.split_id),
            parts=listed(f"{name} {part.rows} rows" for name, part in split.parts.items()),
        ),
        **told(
            source,
            contract=f"{contract.name} {contract.version}, SHA-256 {source.id}",
            target=f"{contract.target.name}: {contract.target.description or 'no description'}; "
            f"favourable is {contract.target.favourable}",
            protected=listed(contract.attributes),
            cleaning=f"{sum(c.required for c in contract.columns)} columns must be filled; values "
            "against a column's type, range or allowed values refuse the row, and are counted",
        ),
    }
    inputs = [c for c in contract.columns if c.name in candidate.features]
    return {f"data.{name}": fact for name, fact in found.items()} | {
        "data.inputs": _inputs(inputs, source),
        "data.groups": group_table(profile, Source("profile", record_id(files.profile))),
    }


def _inputs(columns: list[Column], source: Source) -> Table:
    names = ("input", "what it is", "type", "expected", "may be missing", "otherwise")
    rows = tuple(
        Row(
            (
                each.name,
                each.description or each.words or "no description",
                " ".join(filter(None, (each.kind, f"({each.unit})" if each.unit else ""))),
                expected(each),
                "no" if each.required else "yes",
                "a person decides" if each.outside == "refer" else "the application is sent back",
            ),
            source,
        )
        for each in columns
    )
    return Table("Inputs, as the contract has them", names, rows)


def expected(column: Column) -> str:
    """Return which values of a column are expected."""
    if column.allowed is not None:
        return listed(map(str, column.allowed))
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        return "anything of its type"
    ends = (
        f"at least {low:g}" if low is not None else "",
        f"at most {high:g}" if high is not None else "",
    )
    return listed(filter(None, ends))


def group_table(profile: Profile, source: Source) -> Table:
    """Return how many people of each protected group the snapshot holds."""
    rows = tuple(
        Row((attribute, name, str(count) if count >= FEW else f"fewer than {FEW}"), source)
        for attribute, groups in profile.groups.items()
        for name, count in groups.items()
    )
    return Table(
        "People in the snapshot, by protected group", ("attribute", "group", "people"), rows
    )
