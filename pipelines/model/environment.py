"""The environment a model was trained in, and what decides whether its bits can be had again."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines.canonical import sha256_file
from pipelines.records import Environment

LOADED = Path("/proc/self/maps")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "GLIBC_TUNABLES",
)
UNSET = "unset"


def describe(lock: Path, *, numeric: bool = True) -> Environment:
    """Return the record of this process's environment; `lock` is the file that pins it.

    Call it after the numeric libraries were used, so that the loaded ones are seen. Where none
    takes part (not `numeric`) nothing is said of them. Raises NotThere without a lock.
    """
    libpython = _libpython()
    return Environment(
        lock_sha256=sha256_file(lock),
        packages=_packages(),
        python=platform.python_version(),
        python_build=f"{' '.join(platform.python_build())} {platform.python_compiler()}",
        executable_sha256=sha256_file(Path(sys.executable).resolve()),
        libpython_sha256=sha256_file(libpython) if libpython else None,
        system=_system(),
        machine=platform.machine(),
        libc=" ".join(platform.libc_ver()).strip(),
        cpu_features=_cpu_features() if numeric else (),
        blas=_blas() if numeric else (),
        threads={name: os.environ.get(name, UNSET) for name in THREAD_VARIABLES},
    )


def _packages() -> dict[str, str]:
    found = {each.name.lower().replace("_", "-"): each.version for each in metadata.distributions()}
    return dict(sorted(found.items()))


def _libpython() -> Path | None:
    """Return the shared library that holds the interpreter, as loaded; None when it is static."""
    if not LOADED.is_file():
        return None
    files = (line.split()[-1] for line in LOADED.read_text(encoding="utf-8").splitlines())
    return next((Path(name) for name in files if Path(name).name.startswith("libpython")), None)


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.release()
    return f"{platform.system()}, {name}"


def _cpu_features() -> tuple[str, ...]:
    """Return the instruction sets that numpy was built for or found on this processor."""
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    sets = (found or {}).get("SIMD Extensions", {})
    return tuple(sorted({*sets.get("baseline", ()), *sets.get("found", ())}))


def _blas() -> tuple[str, ...]:
    """Return each loaded library that runs threads of its own: name, version, kernel, threads."""
    from threadpoolctl import threadpool_info

    keys = ("prefix", "version", "architecture", "threading_layer", "num_threads")
    lines = (" ".join(str(each.get(key) or "-") for key in keys) for each in threadpool_info())
    return tuple(sorted(set(lines)))
