"""Which files of an audit bundle stay out because they show a column that is left out.

A bundle's records leave a column out field by field; a profile, a report or a window's figures show
it for many people at once, and its least and greatest value are one person's. Which files show no
column is said here, and every other one stays out: its digest stands in the manifest, so that it
can be asked for and is then known to be the same.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from pipelines.account.left_out import Left
from pipelines.canonical import sha256_file
from pipelines.errors import BadRequest

TOPS: Final = ("versions", "reports", "watch")
# Names, digests, settings and people's words about a version: no figure of anybody.
SETTINGS: Final = frozenset(
    {
        "approvals.json",
        "candidate.json",
        "contract.json",
        "declared.json",
        "energy.json",
        "environment.json",
        "gate/verdict.json",
        "model.lock",
        "modification.json",
        "plan.json",
        "policy.json",
        "snapshot.json",
        "split.json",
        "verdict.json",
        "version.json",
    }
)
# Figures about everybody, by no column but the target.
OVERALL: Final = frozenset(
    {
        *(f"checks/{name}.json" for name in ("performance", "privacy", "reproducibility")),
        "evaluate/evaluation.json",
        "plots/calibration.csv",
        "plots/calibration.png",
        "plots/roc.csv",
        "plots/roc.png",
    }
)
# Figures by the groups that protected columns tell, and by no column besides.
BY_GROUP: Final = frozenset(
    {
        "checks/bias.json",
        "checks/calibration.json",
        "evaluate/metrics.json",
        "metrics.json",
        "plots/selection_rates.csv",
        "plots/selection_rates.png",
    }
)
PAGES: Final = (".evidently.json", ".html")  # a check's other forms, beside its JSON


def withhold(folder: Path, left: Left) -> dict[str, str]:
    """Take out of a bundle what shows a column that is left out; return path and SHA-256 of each.

    `folder` holds versions, reports and windows, each in a folder of its own, as they are.
    """
    if not left.columns:
        return {}
    free, found = _free(left), {}
    for top in TOPS:
        for path in sorted(each for each in (folder / top).rglob("*") if each.is_file()):
            named = path.relative_to(folder)
            if _plain(PurePosixPath(*named.parts[2:])) not in free:
                found[named.as_posix()] = sha256_file(path)
                path.unlink()
    return found


def _free(left: Left) -> frozenset[str]:
    """Return which files show none of the columns."""
    if any(column.role == "target" for column in left.columns):
        return SETTINGS
    if any(column.protected for column in left.columns):
        return SETTINGS | OVERALL
    return SETTINGS | OVERALL | BY_GROUP


def _plain(path: PurePosixPath) -> str:
    """Return the path of the JSON that a file shows, where it is another form of one."""
    name = path.as_posix()
    for end in PAGES:
        if name.startswith("checks/") and name.endswith(end):
            return name.removesuffix(end) + ".json"
    return name


def refuse_model(left: Left) -> None:
    """Raise BadRequest: a model holds values of a column, and gives more of them away."""
    if left.columns:
        raise BadRequest(
            "with the model, values of a column could be worked out although they are left out",
            where="--with-model",
            hint="clew audit blind --help",
        )
