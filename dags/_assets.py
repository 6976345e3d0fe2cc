"""The named assets that join the DAGs, and the task that announces one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

SNAPSHOT = Asset(name="snapshot", uri="clew://snapshot", group="data")
CANDIDATE = Asset(name="candidate", uri="clew://candidate", group="model")
CHAMPION = Asset(name="champion", uri="clew://champion", group="model")
DECISIONS = Asset(name="decisions", uri="clew://decisions", group="decisions")
RETRAIN_WANTED = Asset(name="retrain_wanted", uri="clew://retrain_wanted", group="model")


class Publish(BaseOperator):
    """Announce an asset with ids on the event; skip what was announced last, or has no id.

    `extra` is a mapping of templates; its field `identity` says whether it is the same thing. With
    `once` anything that was ever announced is skipped, not the last alone.
    """

    template_fields = ("extra",)

    def __init__(
        self,
        *,
        asset: Asset,
        identity: str,
        extra: Mapping[str, str],
        once: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(inlets=[asset], outlets=[asset], **options)
        self.asset = asset
        self.identity = identity
        self.extra = dict(extra)
        self.once = once

    def execute(self, context: Context) -> dict[str, str]:
        """Return what was announced."""
        now = self.extra[self.identity]
        if not now:
            raise AirflowSkipException(f"there is no {self.asset.name} to announce")
        events = context["inlet_events"][self.asset]
        before = [each.extra for each in events] if self.once else [newest(events)]
        if now in [each.get(self.identity) for each in before]:
            raise AirflowSkipException(f"unchanged: {self.asset.name} {now} was announced already")
        context["outlet_events"][self.asset].extra.update(self.extra)
        return self.extra


def newest(events: Any, before: datetime | None = None) -> dict[str, str]:
    """Return what the newest event says, at `before` or earlier; an empty dict without any."""
    found = events.ascending(False).limit(1)
    if before:
        found = found.before(before)
    return dict(found[0].extra) if len(found) else {}


def asked(wanted: Mapping[str, str]) -> str:
    """Return why a retrain is wanted, in a line: what asks, and what it found."""
    return f"{wanted['request']}: {wanted['reason']}"


def triggering(context: Mapping[str, Any], asset: Asset) -> dict[str, str]:
    """Return what the newest event that started this run says; an empty dict without any."""
    events: Sequence[Any] = context["triggering_asset_events"].get(asset, ())
    ordered = sorted(events, key=lambda event: event.timestamp)
    return dict(ordered[-1].extra) if ordered else {}
