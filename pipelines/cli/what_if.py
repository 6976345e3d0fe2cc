"""Commands that ask a decision's model what else it would have said: what-if, counterfactual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.cli import voice
from pipelines.cli.answer import ID, WHO, opened
from pipelines.cli.options import JSON, Place, here, open_ledger
from pipelines.errors import BadRequest
from pipelines.typed import plain

if TYPE_CHECKING:
    from pipelines.account.again import Where
    from pipelines.account.then import Said


@click.command("what-if")
@ID
@click.argument("changes", metavar="FIELD=VALUE...", nargs=-1, required=True)
@WHO
@JSON
def what_if(decision_id: str, changes: tuple[str, ...], person: str, as_json: bool) -> None:
    """Ask the model that made decision ID about the same application with other values.

    FIELD= leaves a field out. Nothing is decided; that you looked is recorded.
    """
    from pipelines.account import what_if as asking
    from pipelines.decisions.record import as_number

    place, number = here(), as_number(decision_id)
    given = dict(_pair(each) for each in changes)
    with open_ledger(place.state) as ledger:
        found = asking.what_if(ledger, where(place), number, given, person)
    if as_json:
        voice.record(plain(found), as_json=True)
        return
    rows = [{"": "recorded", **_said(found.before)}]
    if found.after:
        rows.append({"": "what if", **_said(found.after)})
    voice.result(rows, as_json=False)
    for name in found.unread:
        voice.note(f"the model does not read {name}")
    for refusal in found.refused:
        voice.note(f"refused: {refusal.field}: {refusal.rule}")


@click.command()
@ID
@click.option("--most", type=click.IntRange(1, 10), default=3, show_default=True, help="How many.")
@WHO
@JSON
def counterfactual(decision_id: str, most: int, person: str, as_json: bool) -> None:
    """Show the nearest allowed changes that would have had decision ID approved.

    Each is checked with the decision's own model. That you looked is recorded.
    """
    from pipelines.account import counterfactual as searching
    from pipelines.decisions.record import as_number

    place, number = here(), as_number(decision_id)
    with open_ledger(place.state) as ledger:
        found = searching.counterfactuals(ledger, where(place), number, person, most)
    if as_json:
        voice.record(plain(found), as_json=True)
        return
    rows = [
        {
            "": place_of,
            "change": change.words,
            "from": str(change.before),
            "to": str(change.after),
            "unit": change.unit or "",
        }
        for place_of, each in enumerate(found.found, 1)
        for change in each.changes
    ]
    voice.result(rows, as_json=False)
    for place_of, each in enumerate(found.found, 1):
        proven = "the nearest" if each.nearest else f"none below {each.at_least:.2f}"
        without = f", {', '.join(each.untouched)} untouched" if each.untouched else ""
        voice.note(f"{place_of}: cost {each.cost:.2f}, {proven}{without}")
    if found.bound:
        voice.note(found.bound)


def where(place: Place) -> Where:
    """Return what answering works on here."""
    from pipelines.account.again import Where

    return Where(place.state, place.root, opened(place))


def _pair(text: str) -> tuple[str, str | None]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise BadRequest("not a change", expected="FIELD=VALUE")
    return name, value or None


def _said(said: Said) -> dict[str, object]:
    return {
        "outcome": said.outcome,
        "because": said.because,
        "log-odds": float.fromhex(said.margin) if said.margin else None,
        "reasons": "; ".join(each.words for each in said.reasons) or "-",
    }
