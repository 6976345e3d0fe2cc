# ruff: noqa: INP001 - a folder that Airflow looks through, no package
"""A menu entry in Airflow that leads to the record's pages, where those run.

It is a link and no frame: the pages refuse to be framed, and ask for a login of their own. It
stands under Browse: on the top level Airflow 3.3.2 makes a button of it that leads nowhere.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PAGES_VARIABLE = "CLEW_PAGES_URL"


def views(pages: str) -> list[dict[str, Any]]:
    """Return the menu entries for pages at an address; none where there are no pages."""
    if not pages:
        return []
    return [
        {
            "name": "Decisions",
            "href": f"{pages}/record/",
            "destination": "nav",
            "category": "browse",
        }
    ]


class ClewMenu(AirflowPlugin):
    """What Airflow reads when it starts."""

    name = "clew"
    external_views = views(os.environ.get(PAGES_VARIABLE, "").rstrip("/"))
