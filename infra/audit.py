"""Look every locked package up among known vulnerabilities: ``python infra/audit.py [LOCK]…``.

Exit codes: 0 all looked up, none known; 1 some known; 69 not looked up, for the advisory service
did not answer. What could not be looked up is never told as free of them.
"""

# ruff: noqa: INP001, S603, T201 - a program, not a module
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"
CLEAN, KNOWN, NOT_LOOKED_UP = 0, 1, 69
# `--strict`: a package that the service cannot judge fails, where pip-audit would pass it over.
COMMAND = ("-m", "pip_audit", "--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off")
SERVICE = ("--vulnerability-service", "osv")
UNREACHABLE = ("ConnectionError", "ServiceError", "Timeout")


def audit(lock: Path) -> int:
    """Look one lock's packages up, say what came of it, and return the exit code."""
    done = subprocess.run(
        [sys.executable, *COMMAND, *SERVICE, "--requirement", str(lock)],
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if done.returncode == CLEAN:
        print(f"{lock.name}: no known vulnerability")
        return CLEAN
    if any(word in done.stderr for word in UNREACHABLE):
        print(f"{lock.name}: NOT LOOKED UP, the advisory service did not answer")
        return NOT_LOOKED_UP
    print(f"{lock.name}: {last}\n{done.stdout.strip()}")
    return KNOWN


def main() -> int:
    """Look all locks up, or those named."""
    locks = [Path(name) for name in sys.argv[1:]] or sorted(LOCKS.glob("*.lock"))
    codes = [audit(lock) for lock in locks]
    return KNOWN if KNOWN in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
