"""The audit of locked packages: without an answer nothing is told as free of vulnerabilities."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_an_advisory_service_that_does_not_answer_is_no_clean_bill() -> None:
    """Where nobody can be asked, the exit code is 69 and the lock is told as not looked up."""
    closed = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:1")
    lock = ROOT / "infra" / "locks" / "bootstrap.lock"
    done = subprocess.run(
        [sys.executable, str(ROOT / "infra" / "audit.py"), str(lock)],
        env=os.environ | closed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (69, "bootstrap.lock: NOT LOOKED UP, the advisory service did not answer\n") == (
        done.returncode,
        done.stdout,
    )


def test_continuous_integration_audits_and_fuzzes() -> None:
    """What CI runs asks about every lock, and sends the service what its document does not say."""
    steps = (ROOT / ".ci" / "run").read_text()
    assert "infra/audit.py" in steps
    assert "tests/decisions/test_openapi.py" in steps
