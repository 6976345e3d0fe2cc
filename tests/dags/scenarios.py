"""What is tried on the DAGs: the form's fields, and what each command of the stand-in answers."""

from __future__ import annotations

from typing import Any

VERDICT = "f" * 64
REGISTERED = {"run": "r", "model_name": "m", "version": "7", "verdict": VERDICT, "passed": True}
LOGGED = REGISTERED | {"version": None, "passed": False}
BLOCKED = {
    "check bias": {"exit": 4, "stderr": ["clew: the check bias blocks: fail"]},
    "step gate": {"exit": 4, "answer": {"commit": "after-gate", "refused": True}},
    "register": {"answer": LOGGED},
}
PASSED = {
    "begin": {"answer": {"run": "r"}},
    "step gate": {"answer": {"commit": "after-gate"}},
    "register": {"answer": REGISTERED},
}
REFERENCE = "0123456789abcdef" * 2
SCORED = {"answer": {"batch": "b" * 64, "version": "7", "rows": 9, "out": "/state/scored/b"}}
SNAPSHOT = {"answer": {"batch": "c" * 64, "version": "7", "rows": 5, "out": "/state/scored/c"}}
PLANNED = {"version": "7", "verdict": VERDICT, "approval_required": False}


def train(answers: dict[str, Any], **conf: object) -> dict[str, Any]:
    """Return a training on given data."""
    return {"dag": "train_model", "conf": {"data": "abc"} | conf, "answers": answers}


def prepare(answers: dict[str, Any], **conf: object) -> dict[str, Any]:
    """Return a preparation of data."""
    return {"dag": "prepare_data", "conf": conf, "answers": answers}


def promote(answers: dict[str, Any], **conf: object) -> dict[str, Any]:
    """Return a promotion of version 7."""
    return {"dag": "promote_model", "conf": {"version": "7"} | conf, "answers": answers}


def score(answers: dict[str, Any], **conf: object) -> dict[str, Any]:
    """Return a file to decide about."""
    return {"dag": "score_batch", "conf": conf, "answers": answers}


def landed(snapshot: str) -> dict[str, Any]:
    """Return the answers of a run that pins this snapshot."""
    return {
        "begin": {"answer": {"run": "r"}},
        "snapshot": {"answer": {"snapshot": snapshot}},
    }


REQUEST = {
    "request": "m/7/w",
    "window": "w",
    "version": "7",
    "reason": "window w: drift/a/psi",
    "report": "r" * 64,
}
SEEN = {"window": "w", "report": "r" * 64, "version": "7", "alarms": 0, "action": "none"}
QUIET = {
    "outcomes": {"answer": {"skipped": "no file of outcomes landed"}},
    "watch-parts": {"answer": {"plan": "", "parts": []}},
    "watch": {"answer": SEEN | {"stop": None, "retrain": {}}},
    "watch-report": {"answer": {"page": "http://page"}},
    "watch-alert": {"answer": {"skipped": "nothing to tell"}},
}
ALARMED = QUIET | {
    "outcomes": {"answer": {"files": 1}},
    "watch": {"answer": SEEN | {"stop": 1, "retrain": REQUEST}},
    "watch-alert": {"answer": {"sent": 2}},
}


PARTS = [["watch-part", f"--part={number}"] for number in range(3)]
IN_PARTS = QUIET | {
    "watch-parts": {"answer": {"plan": "p" * 64, "parts": PARTS}},
    "watch-part": {"answer": {"part": 0}},
}


def watch(answers: dict[str, Any], **conf: object) -> dict[str, Any]:
    """Return a watch of a window."""
    return {"dag": "watch_decisions", "conf": conf, "answers": answers}


AUDITED = {
    "audit-verify": {"answer": {"verified": "200 entries"}},
    "audit-replay": {"answer": {"replayed": 50, "differs": 0}},
    "audit-deadlines": {"answer": {"contests": 1, "incidents": 0}},
}


def audit(answers: dict[str, Any], **conf: object) -> dict[str, Any]:
    """Return an audit of the ledger."""
    return {"dag": "audit_ledger", "conf": conf, "answers": answers}


# In this order: what was announced before counts.
SCENARIOS: dict[str, dict[str, Any]] = {
    "no snapshot yet": {"dag": "train_model", "conf": {}},
    "new data": prepare(landed("one")),
    "the same data": prepare(landed("one")),
    "other data": prepare(landed("two"), location="/elsewhere"),
    "nothing landed": prepare({"ingest": {"answer": {"skipped": "nothing landed"}}}),
    "refused data": prepare({"step validate": {"exit": 3, "stderr": ["clew: refused"]}}),
    "passed": {"dag": "train_model", "conf": {"candidate": "fair"}, "answers": PASSED},
    "blocked": train(BLOCKED),
    "blocked dry run": train(BLOCKED, dry_run=True),
    "passed dry run": train(PASSED, dry_run=True),
    "unavailable, then broken": train(
        {"step split": [{"exit": 6}, {}], "step train": {"exit": 1, "stderr": ["clew: a bug"]}}
    ),
    "no verdict": train({"step gate": {"exit": 5}, "register": {"exit": 7}}),
    "mistyped field": train(PASSED, candidat="fair"),
    "low tier": promote(
        {
            "plan": {"answer": PLANNED},
            "promote": {"answer": {"promotion": "p", "version": "7"}},
        }
    ),
    "champion already": promote({"plan": {"answer": {"skipped": "the champion already"}}}),
    "blocked version": promote({"plan": {"exit": 4}}),
    "no version": {"dag": "promote_model", "conf": {}},
    "a file": score({"score": [{"exit": 6}, SCORED]}, file="may/a.csv", format="jsonl"),
    "the same file": score({"score": SCORED}, file="may/a.csv"),
    "a snapshot": score({"score": SNAPSHOT}, snapshot="d1", challenger="3"),
    "no such file": score({"score": {"exit": 7}}, file="b.csv"),
    "may not be erased": {
        "dag": "erase_subject",
        "conf": {"reference": REFERENCE},
        "answers": {"erase-plan": {"exit": 4}},
    },
    "erased before": {
        "dag": "erase_subject",
        "conf": {"reference": REFERENCE},
        "answers": {"erase-plan": {"answer": {"skipped": "closed before"}}},
    },
    "a whole ledger": audit(AUDITED, sample=50),
    "no ledger": audit({"audit-verify": {"answer": {"skipped": "nothing is recorded yet"}}}),
    "a decision that differs": audit(AUDITED | {"audit-replay": {"exit": 5}}),
    "a log that was tampered with": audit(AUDITED | {"audit-verify": {"exit": 5}}),
    "a late answer": audit(AUDITED | {"audit-deadlines": {"exit": 4}}),
    "a quiet window": watch(QUIET),
    "an alarming window": watch(ALARMED, window="2026-10"),
    "the same window again": watch(ALARMED, window="2026-10"),
    "a large window": watch(IN_PARTS),
    "a broken part": watch(IN_PARTS | {"watch-part": {"exit": 5}}),
    "a broken watch": watch(QUIET | {"watch": {"exit": 5}, "watch-alert": {"answer": {"sent": 1}}}),
    "a broken page": watch(ALARMED | {"watch-report": {"exit": 5}}),
    "an undelivered alert": watch(ALARMED | {"watch-alert": {"exit": 7}}),
    "nothing promoted": watch(QUIET | {"watch": {"answer": {"skipped": "no version"}}}),
    "stopped": {"dag": "stop_decisions", "conf": {"action": "stop", "reason": "it drifts"}},
}

# What is typed into a form: the DAG, the fields, and whether they are taken.
TYPED: list[tuple[str, dict[str, object], bool]] = [
    ("train_model", {"candidate": None, "data": None, "policy": None, "dry_run": False}, True),
    ("train_model", {"candidate": "naive", "dry_run": True}, True),
    ("train_model", {"candidate": "nosuch"}, False),
    ("train_model", {"candidate": ""}, False),
    ("train_model", {"policy": "us-mortgage-2026-11"}, True),
    ("train_model", {"policy": "../params"}, False),
    ("train_model", {"data": "prepare_data__manual__2026-11-22"}, True),
    ("train_model", {"data": "--code=evil"}, False),
    ("train_model", {"data": "abc def"}, False),
    ("train_model", {"dry_run": "yes"}, False),
    ("train_model", {"dry_run": None}, False),
    ("prepare_data", {"location": None}, True),
    ("prepare_data", {"location": "s3://bucket/prefix"}, True),
    ("prepare_data", {"location": "/srv/landing"}, True),
    ("prepare_data", {"location": "landing"}, False),
    ("prepare_data", {"location": ""}, False),
    ("promote_model", {"version": "12"}, True),
    ("promote_model", {"version": "0"}, False),
    ("promote_model", {"version": 12}, False),
    ("promote_model", {"version": "latest"}, False),
    ("score_batch", {"file": "a.csv", "snapshot": None, "format": "jsonl"}, True),
    ("score_batch", {"file": "may/a.parquet"}, True),
    ("score_batch", {"file": "../users.json"}, False),
    ("score_batch", {"file": "may/../../users.json"}, False),
    ("score_batch", {"file": "/etc/passwd"}, False),
    ("score_batch", {"file": "--out=a"}, False),
    ("score_batch", {"format": "csv"}, False),
    ("score_batch", {"challenger": "latest"}, False),
    ("erase_subject", {"reference": REFERENCE}, True),
    ("erase_subject", {"reference": "Jane Doe"}, False),
    ("erase_subject", {"reference": "B0001"}, False),
    ("watch_decisions", {"window": None}, True),
    ("watch_decisions", {"window": "2026-10"}, True),
    ("watch_decisions", {"window": "2026-W41"}, True),
    ("watch_decisions", {"window": "2026-10-05"}, True),
    ("watch_decisions", {"window": "2026-11-22T09:00:00Z/2026-11-22T10:30:00.5+00:00"}, True),
    ("watch_decisions", {"window": "October"}, False),
    ("watch_decisions", {"window": "2026-10 --act"}, False),
    ("watch_decisions", {"window": "2026-10/../keys"}, False),
    ("stop_decisions", {"action": "stop", "reason": "it drifts"}, True),
    ("stop_decisions", {"action": "start"}, False),
    ("stop_decisions", {"reason": "no"}, False),
]
FORMS = [[dag, fields] for dag, fields, _ in TYPED]
