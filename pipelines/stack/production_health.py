"""Ask whether one service of a production stack works, from inside its container."""

from __future__ import annotations

import socket

from pipelines.stack.health import healthy
from pipelines.stack.production import BROKER_FILE, SECRETS
from pipelines.stack.services import Service

ASK_SECONDS = 10.0


def well(service: Service) -> bool:
    """Return whether the service's page says so; the worker, which has none, is asked by Redis."""
    if service.health.url:
        return healthy(service.health)
    broker = (SECRETS / BROKER_FILE).read_text(encoding="utf-8").strip()
    return answers(broker, f"celery@{socket.gethostname()}")


def answers(broker: str, worker: str) -> bool:
    """Return whether a Celery worker of this name answers over the broker at this URL in time."""
    from celery import Celery  # type: ignore[import-untyped]
    from kombu.exceptions import OperationalError

    # Airflow's own Celery application would cost seconds of imports at every probe.
    asking = Celery(broker=broker, set_as_current=False)
    asking.conf.broker_connection_retry = False
    try:
        return bool(asking.control.ping(destination=[worker], timeout=ASK_SECONDS))
    except (OperationalError, OSError):
        return False
    finally:
        asking.close()
