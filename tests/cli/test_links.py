"""Where the thread of a decision leads: to the servers that people's browsers find."""

from __future__ import annotations

from pathlib import Path

from pipelines.account.knots import Servers
from pipelines.cli.answer import servers
from pipelines.cli.options import Place
from pipelines.layout import State


def test_links_lead_where_production_yaml_says(tmp_path: Path) -> None:
    """In a container nothing runs beside it: the file names the proxy; without one, no links."""
    place = Place(tmp_path, State(tmp_path))
    assert Servers("", "") == _addresses(servers(place))
    (tmp_path / "production.yaml").write_text(
        "airflow_url: https://airflow.example/\nmlflow_url: https://mlflow.example\n"
    )
    found = servers(place)
    assert Servers("https://mlflow.example", "https://airflow.example") == _addresses(found)
    assert "https://mlflow.example/#/runs/abc" == found.run("abc")
    (tmp_path / "production.yaml").write_text("executor: CeleryExecutor\n")
    assert "" == servers(place).run("abc")


def _addresses(found: Servers) -> Servers:
    return Servers(found.mlflow, found.airflow)
