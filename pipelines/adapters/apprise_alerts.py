"""Alerts through Apprise: mail, Slack, webhooks and what else it knows, each by a URL."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from pipelines.errors import BadRequest, Unavailable


@dataclass(frozen=True, slots=True)
class AppriseTarget:
    """One Apprise URL. It holds a secret, so it is in no message and no log, Apprise's included."""

    url: str = field(repr=False)

    def send(self, title: str, body: str) -> None:
        """Send one message as plain text. Raises Unavailable, BadRequest."""
        import apprise

        logging.getLogger("apprise").disabled = True
        asset = apprise.AppriseAsset(app_id="Clew", app_desc="Clew", async_mode=False)
        told = apprise.Apprise(asset=asset)
        if not told.add(self.url):
            raise BadRequest(
                "an alert target is no Apprise URL", hint="docs/how-to/watch.md: Alerts"
            )
        if not told.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
            raise Unavailable("a target did not take an alert", hint="clew doctor")
