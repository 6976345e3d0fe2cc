"""Ask whether one service of a production stack works, from inside its container."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from pipelines.stack.health import healthy
from pipelines.stack.services import Service

CELERY = "airflow.providers.celery.executors.celery_executor.app"
ASK_SECONDS = 40


def well(service: Service) -> bool:
    """Return whether the service's page says so; a worker without a page is asked by the broker."""
    return healthy(service.health) if service.health.url else _answers(service)


def _answers(worker: Service) -> bool:
    celery = str(Path(worker.command[0]).parent / "celery")
    this = f"celery@{socket.gethostname()}"
    ping = (celery, "--app", CELERY, "inspect", "ping", "--destination", this, "--timeout", "10")
    done = subprocess.run(
        ping, env=dict(worker.environment), capture_output=True, check=False, timeout=ASK_SECONDS
    )
    return done.returncode == 0
