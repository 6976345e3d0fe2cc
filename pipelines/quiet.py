"""No telemetry: the environment that every process Clew starts is given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipelines.layout import HOME_VARIABLE, State

# Each switch is read by a program that the locks install; a test names where. DVC's look for
# updates has none and is off in .dvc/config. Airflow, Evidently's reports, fairlearn, skops and
# OpenLineage's client send nothing of their own accord.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "ITERATIVE_DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "DVC_NO_ANALYTICS": "true",
}

NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"

# One thread: on a shared machine two BLAS threads were 40 times slower than one, and a
# sum's last bit must not depend on how many there are.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def environment(state: State) -> dict[str, str]:
    """Return the environment for a child process: no telemetry, one thread, state in one folder.

    Compiled bytecode is kept, whatever this process was told: without it, imports take three
    times as long, in every process of every step.
    """
    inherited = {name: text for name, text in os.environ.items() if name != NO_BYTECODE}
    own = {
        HOME_VARIABLE: str(state.home),
        "DVC_SITE_CACHE_DIR": str(state.home / "dvc" / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(state.home / "dvc" / "config"),
        "DVC_SYSTEM_CONFIG_DIR": str(state.home / "dvc" / "config"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONHASHSEED": "0",
    }
    return inherited | TELEMETRY_OFF | ONE_THREAD | own
