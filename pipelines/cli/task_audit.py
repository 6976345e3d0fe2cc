"""The tasks of the nightly audit: verify the whole log, replay a sample, tell people of a break."""

from __future__ import annotations

import click

from pipelines import wiring
from pipelines.cli.answer import opened
from pipelines.cli.options import here, open_ledger
from pipelines.cli.prove import whole_log
from pipelines.cli.voice import tell
from pipelines.errors import NotThere

WHO = "audit_ledger"
NO_LEDGER = "nothing is recorded yet"
BROKEN = (
    "The log did not verify, or recorded decisions did not come out again. Keep everything as it "
    "is. Look at the log of the run of audit_ledger, then: clew verify; clew replay ID"
)


@click.command()
def audit_verify() -> None:
    """Verify the whole log with the one-file verifier."""
    state = here().state
    if not state.ledger_policy.exists():
        tell(skipped=NO_LEDGER)
        return
    tell(verified=whole_log(state, state.ledger_policy))


@click.command()
@click.option("--sample", type=click.IntRange(min=1), required=True)
def audit_replay(sample: int) -> None:
    """Decide a random sample again; a difference is an alarm."""
    from pipelines.account import replay
    from pipelines.account.again import Where

    place = here()
    if not place.state.ledger_policy.exists():
        tell(skipped=NO_LEDGER)
        return
    where = Where(place.state, place.root, opened(place))
    with open_ledger(place.state) as ledger:
        indices = replay.drawn(ledger, sample, None, None)
        if not indices:
            tell(skipped=NO_LEDGER)
            return
        many = replay.replay_many(ledger, where, indices, WHO)
    tell(
        replayed=many.replayed,
        identical=many.count("identical"),
        within=many.count("within"),
        differs=many.count("differs"),
        erased=many.erased,
    )
    replay.refuse_differing(many)


@click.command()
def audit_alert() -> None:
    """Tell everybody who is named that the audit broke. Raises NotThere where nobody is."""
    targets = wiring.alert_targets(here().state)
    if not targets:
        raise NotThere("the audit broke, and nobody is named to be told")
    for each in targets:
        each.send("Clew: the audit of the ledger broke", BROKEN)
    tell(sent=len(targets))
