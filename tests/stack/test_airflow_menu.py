"""The plugin that puts the record's pages into Airflow's menu, as Airflow itself reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import wiring
from pipelines.stack.airflow_options import PLUGINS

READ = """
import json
from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse
from airflow import plugins_manager
found, errors = plugins_manager._get_plugins()
views = [view for plugin in found if plugin.name == "clew" for view in plugin.external_views]
shown = [ExternalViewResponse.model_validate(view).model_dump(mode="json") for view in views]
print(json.dumps({"views": shown, "errors": errors}))
"""


def read(folder: Path, pages: str) -> dict[str, Any]:
    """Let Airflow read its plugins; return the menu entries of ours, and what went wrong."""
    own = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        wiring.PAGES_VARIABLE: pages,
    }
    done = subprocess.run(
        [sys.executable, "-c", READ], env=os.environ | own, capture_output=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.airflow
def test_the_menu_leads_to_the_pages_where_they_run(tmp_path: Path) -> None:
    """With pages there is one plain link in the menu, no frame; without them there is none."""
    found = read(tmp_path, "http://127.0.0.1:4005")
    assert {} == found["errors"]
    (view,) = found["views"]
    assert ("Decisions", "http://127.0.0.1:4005/record/") == (view["name"], view["href"])
    assert ("nav", None) == (view["destination"], view["url_route"])
    assert ("browse", False) == (view["category"], view["nav_top_level"])
    assert [] == read(tmp_path, "")["views"]
