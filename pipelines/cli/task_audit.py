"""The tasks of the nightly audit: verify the log, replay a sample, look at deadlines, alert."""

from __future__ import annotations

import click

from pipelines import wiring
from pipelines.cli.options import here, open_ledger
from pipelines.cli.prove import whole_log
from pipelines.cli.voice import tell
from pipelines.cli.what_if import where
from pipelines.errors import NotThere

WHO = "audit_ledger"
NO_LEDGER = "nothing is recorded yet"
BROKEN = (
    "The log did not verify, recorded decisions did not come out again, or somebody waits longer "
    "for an answer than the law allows. Keep everything as it is. The red task of the run of "
    "audit_ledger says which; then: clew verify; clew replay ID; clew contests; clew incident list"
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
    from pipelines.account import replay_many

    place = here()
    if not place.state.ledger_policy.exists():
        tell(skipped=NO_LEDGER)
        return
    with open_ledger(place.state) as ledger:
        indices = replay_many.drawn(ledger, sample, None, None)
        if not indices:
            tell(skipped=NO_LEDGER)
            return
        many = replay_many.replay_many(ledger, where(place), indices, WHO)
    tell(
        replayed=many.replayed,
        identical=many.count("identical"),
        within=many.count("within"),
        differs=many.count("differs"),
        erased=many.erased,
    )
    replay_many.refuse_differing(many)


@click.command()
def audit_deadlines() -> None:
    """Look at every contest that waits and at every incident; a late one is an alarm."""
    from pipelines.account import contest, incident
    from pipelines.account.afterwards import now

    state, today = here().state, now().date()
    if not state.ledger_policy.exists():
        tell(skipped=NO_LEDGER)
        return
    with open_ledger(state) as ledger:
        waiting, incidents = contest.waiting(ledger), incident.incidents(ledger)
    tell(contests=len(waiting), incidents=len(incidents))
    late = contest.overdue(waiting, today) or incident.overdue(incidents, today)
    if late:
        raise late


@click.command()
def audit_alert() -> None:
    """Tell everybody who is named that the audit broke. Raises NotThere where nobody is."""
    targets = wiring.alert_targets(here().state)
    if not targets:
        raise NotThere("the audit broke, and nobody is named to be told")
    for each in targets:
        each.send("Clew: the nightly audit is red", BROKEN)
    tell(sent=len(targets))
