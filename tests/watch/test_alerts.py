"""Alerts: one message a finding and target, once, no secret and no silence."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.apprise_alerts import AppriseTarget
from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.watch import alerts
from pipelines.watch.deeds import Journal
from tests.registries import free_port
from tests.watch import pages

LINK = "http://mlflow/page"
SECRET = "hush-hush"  # noqa: S105 - what must not be seen


class Inbox:
    """What a webhook took, and the status it answers with.

    From `answered` messages on it takes none: it says with `full` that one came, and answers nobody
    until `gone`.
    """

    def __init__(self) -> None:
        self.status = 200
        self.answered: int | None = None
        self.full, self.gone = threading.Event(), threading.Event()
        self.messages: list[dict[str, Any]] = []
        self.url = ""


@contextmanager
def webhook() -> Iterator[Inbox]:
    """Run a real HTTP receiver."""
    inbox = Inbox()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(inbox.messages) == inbox.answered:
                inbox.full.set()
                inbox.gone.wait(60)
                return
            inbox.messages.append(json.loads(body))
            self.send_response(inbox.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        inbox.url = f"json://clew:{SECRET}@127.0.0.1:{server.server_port}/hook"
        yield inbox
        server.shutdown()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with webhook() as found:
        yield found


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "window" / "deeds.json")


TWO = (pages.finding(), pages.finding(check="bounds", of="overall", action="alert"))


def test_each_finding_is_one_message_with_its_figures(inbox: Inbox, journal: Journal) -> None:
    """Value, bound, window, version, what is done and the report stand in the message."""
    quiet = (
        pages.finding(of="debt", status="ok", action="none"),
        pages.finding(of="x", action="none"),
    )
    made = pages.report_of(*TWO, *quiet)
    done = alerts.deliver(made, journal, [AppriseTarget(inbox.url)], LINK)
    assert (2, 0, 0) == (done.sent, done.before, done.failed)
    titles = [each["title"] for each in inbox.messages]
    assert ["Clew: alarm: drift/income/psi", "Clew: alarm: bounds/overall/psi"] == titles
    for part in ("value: 0.5", "bound: 0.2", "corrected p: 0.0001", "people: 400", LINK):
        assert part in inbox.messages[0]["message"]
    for part in ("window: 2026-10-01--2026-11-01", "applicants version 1", "what is done: retrain"):
        assert part in inbox.messages[0]["message"]


def test_nothing_is_told_twice_within_a_window(inbox: Inbox, journal: Journal) -> None:
    """The same finding of the same window goes to a target once; another version's is another."""
    target = AppriseTarget(inbox.url)
    alerts.deliver(pages.report_of(*TWO), journal, [target], LINK)
    again = alerts.deliver(pages.report_of(*TWO, decisions=401), journal, [target], LINK)
    assert (0, 2, 2) == (again.sent, again.before, len(inbox.messages))
    alerts.deliver(pages.report_of(*TWO, version="2"), journal, [target], LINK)
    assert 4 == len(inbox.messages)


def test_many_findings_are_one_message_where_a_digest_is_asked_for(
    inbox: Inbox, journal: Journal
) -> None:
    """The digest lists every finding by weight, with its figures, and each is told once for all."""
    stop = pages.finding(of="age", action="stop", value=0.3)
    made = pages.report_of(*TWO, stop)
    target = [AppriseTarget(inbox.url)]
    done = alerts.deliver(made, journal, target, LINK, digest_from=3)
    assert ((3, 0, 0), 1) == ((done.sent, done.before, done.failed), len(inbox.messages))
    assert "Clew: 3 findings of the watch" == inbox.messages[0]["title"]
    *about, _, first, second, third = inbox.messages[0]["message"].splitlines()
    assert ["window: 2026-10-01--2026-11-01", f"report: {LINK}"] == [about[0], about[2]]
    assert "alarm: drift/age/psi: 0.3, bound 0.2, people 400: stop" == first
    assert ["retrain", "alert"] == [each.rpartition(": ")[2] for each in (second, third)]
    again = alerts.deliver(made, journal, target, LINK)
    assert (0, 3, 1) == (again.sent, again.before, len(inbox.messages))


def test_fewer_findings_than_a_digest_holds_are_a_message_each(
    inbox: Inbox, journal: Journal
) -> None:
    """What was told before does not count: one new finding is a message of its own."""
    target = [AppriseTarget(inbox.url)]
    alerts.deliver(pages.report_of(*TWO), journal, target, LINK, digest_from=3)
    assert 2 == len(inbox.messages)
    more = pages.finding(of="age")
    alerts.deliver(pages.report_of(*TWO, more), journal, target, LINK, digest_from=3)
    assert "Clew: alarm: drift/age/psi" == inbox.messages[2]["title"]


def test_a_digest_that_was_not_delivered_is_owed_finding_by_finding(
    inbox: Inbox, journal: Journal
) -> None:
    """Every finding of it stays visible as undelivered until it is told."""
    inbox.status = 500
    target = [AppriseTarget(inbox.url)]
    with pytest.raises(Unavailable, match="could not be delivered"):
        alerts.deliver(pages.report_of(*TWO), journal, target, LINK, digest_from=2)
    (missed,) = alerts.undelivered([("w", journal)])
    assert 2 == missed.value
    inbox.status = 200
    done = alerts.deliver(pages.report_of(*TWO), journal, target, LINK, digest_from=2)
    assert (2, 0) == (done.sent, done.before)
    assert [] == list(alerts.undelivered([("w", journal)]))


def test_one_target_down_costs_no_other_its_message(inbox: Inbox, journal: Journal) -> None:
    """All targets are tried before it fails; when the dead one lives, only it is sent the rest."""
    with webhook() as other:
        other.status = 500
        targets = [AppriseTarget(each.url) for each in (other, inbox)]
        with pytest.raises(Unavailable, match="could not be delivered"):
            alerts.deliver(pages.report_of(*TWO), journal, targets, LINK)
        assert 2 == len(inbox.messages)
        (missed,) = alerts.undelivered([("w", journal)])
        assert ("alert-undelivered/w/count", "error", 2.0) == (
            missed.key,
            missed.status,
            missed.value,
        )
        other.status, other.messages = 200, []
        done = alerts.deliver(pages.report_of(*TWO), journal, targets, LINK)
        assert (2, 2, 2) == (done.sent, done.before, len(other.messages))
    assert [] == list(alerts.undelivered([("w", journal)]))


def test_nobody_listening_is_a_failure(journal: Journal) -> None:
    """A closed port is an undelivered alert, not a sent one."""
    target = AppriseTarget(f"json://127.0.0.1:{free_port()}/")
    with pytest.raises(Unavailable, match="could not be delivered"):
        alerts.deliver(pages.report_of(TWO[0]), journal, [target], LINK)
    assert 1 == len(list(alerts.undelivered([("w", journal)])))


def test_nobody_named_is_a_failure_until_somebody_is_told(inbox: Inbox, journal: Journal) -> None:
    """An alarm that nobody is named to hear of is refused and stays visible until it is told."""
    with pytest.raises(NotThere, match="nobody is named"):
        alerts.deliver(pages.report_of(*TWO), journal, [], LINK)
    (missed,) = alerts.undelivered([("w", journal)])
    assert 2 == missed.value
    alerts.deliver(pages.report_of(*TWO), journal, [AppriseTarget(inbox.url)], LINK)
    assert [] == list(alerts.undelivered([("w", journal)]))


def test_without_a_finding_nobody_need_be_named(journal: Journal) -> None:
    """A quiet window tells nobody and fails for nobody."""
    done = alerts.deliver(pages.report_of(pages.finding(action="none")), journal, [], LINK)
    assert (0, 0, 0) == (done.sent, done.before, done.failed)


def test_findings_about_the_watch_itself_are_told(inbox: Inbox, journal: Journal) -> None:
    """A window that was not watched is told beside what the window's own report found."""
    late = pages.finding(check="not-watched", of="2026-09", measure="in time", action="alert")
    done = alerts.deliver(pages.report_of(), journal, [AppriseTarget(inbox.url)], LINK, (late,))
    assert (1, "Clew: alarm: not-watched/2026-09/in time") == (
        done.sent,
        inbox.messages[0]["title"],
    )


@pytest.mark.parametrize("status", [200, 500])
def test_no_secret_of_a_target_is_shown(
    inbox: Inbox,
    journal: Journal,
    status: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A target's URL is in no log, message, error, record or printed object, sent or not."""
    caplog.set_level(logging.DEBUG)
    inbox.status = status
    target = AppriseTarget(inbox.url)
    said = repr(target)
    try:
        alerts.deliver(pages.report_of(*TWO), journal, [target], LINK)
    except Unavailable as error:
        said += str(error)
    printed = "".join(capfd.readouterr())
    assert SECRET not in said + caplog.text + printed + journal.path.read_text()
    assert str(inbox.messages).count(SECRET) == 0


def test_a_line_that_is_no_url_is_refused_without_being_shown(journal: Journal) -> None:
    """What Apprise does not know is a failed alert whose text stays hidden."""
    with pytest.raises(BadRequest) as refused:
        AppriseTarget(f"nosuch://{SECRET}").send("t", "b")
    assert SECRET not in str(refused.value)
    with pytest.raises(Unavailable):
        alerts.deliver(
            pages.report_of(TWO[0]), journal, [AppriseTarget(f"nosuch://{SECRET}")], LINK
        )
    assert SECRET not in journal.path.read_text()


def test_targets_are_read_from_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    """Comments and empty lines are left out; a file that others may read is refused."""
    file = tmp_path / "alert-targets"
    assert () == alerts.urls(file)
    file.write_text(f"# people\n\njson://one/\n  json://{SECRET}@two/  \n")
    file.chmod(0o600)
    assert ("json://one/", f"json://{SECRET}@two/") == alerts.urls(file)
    file.chmod(0o640)
    with pytest.raises(BadRequest, match="others can read") as refused:
        alerts.urls(file)
    assert SECRET not in str(refused.value)
