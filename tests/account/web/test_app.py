"""The record's pages: search, one decision, logins, and the look that is recorded first."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.account.web import search
from pipelines.account.web.app import within
from pipelines.account.web.session import SECONDS, Sessions
from pipelines.account.web.site import Found, Report
from pipelines.decisions.record import Recorded
from pipelines.decisions.service import api_keys
from pipelines.decisions.service.api_keys import ApiKeys, NotKnown, Role
from pipelines.errors import Unavailable
from pipelines.ledger import erasure
from pipelines.records import Promotion
from tests.account.web import sites
from tests.account.web.sites import Browser
from tests.account.world import World
from tests.decisions import versions

SUBJECT = "p-marked-7261"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def promoted(world: World) -> Promotion:
    return world.version(run_id="train_model__1")


@pytest.fixture(scope="module")
def decided(world: World, promoted: Promotion) -> Recorded:
    return world.decide(promoted, [versions.application()])[0]


@pytest.fixture
def keyed(world: World) -> Iterator[World]:
    yield world
    world.state.api_keys.unlink(missing_ok=True)


def key(world: World, name: str, *roles: Role) -> str:
    return api_keys.create(world.state.api_keys, name, roles)


def kinds(world: World, start: int = 0) -> list[str]:
    rows = world.ledger.store.rows(start, size(world))
    return [json.loads(row.entry)["t"] for row in rows]


def size(world: World) -> int:
    return world.ledger.checkpoint()[0].size


def page_of(found: Recorded) -> str:
    return f"/record/decisions/{found.id}"


def test_a_decision_has_outcome_reasons_proof_data_and_thread(
    world: World, decided: Recorded
) -> None:
    """One page tells what was decided, why, that it is sealed, and what it rests on."""
    html = sites.local(sites.site(world)).see(page_of(decided))
    made = decided.made.decided
    assert made.margin is not None
    for text in (decided.id, made.margin, *(each.words for each in made.reasons)):
        assert text in html
    assert f"entry {decided.index} of" in html
    assert '<svg class="thread"' in html
    assert "31.25" in html
    for kind in ("promotion", "approval", "verdict", "snapshot", "commit", "environment"):
        assert f'<th scope="row">{kind}</th>' in html


def test_a_look_is_recorded_before_a_decision_is_shown(world: World, decided: Recorded) -> None:
    """Each opened page leaves an entry in the log; it names who looked, under the person's key."""
    browser, before = sites.local(sites.site(world)), size(world)
    browser.see(page_of(decided))
    assert ["look"] == kinds(world, before)
    told = json.loads(world.ledger.read(world.ledger.row(before).id).content)
    assert ("local", decided.id) == (told["caller"], told["decision_id"])


def test_without_a_place_to_record_the_look_nothing_is_shown(
    world: World, decided: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the log takes no entry, the page is 503 and has nothing of the record in it."""

    def full(_: object) -> None:
        raise Unavailable("the disk is full")

    browser = sites.local(sites.site(world))
    monkeypatch.setattr(world.ledger, "record", full)
    html = browser.see(page_of(decided), 503)
    assert SUBJECT not in html
    assert "31.25" not in html


def test_a_person_is_found_by_a_form_and_stands_in_no_address(
    world: World, decided: Recorded
) -> None:
    """Who is looked for is sent in a body, never in a URL, and that they were is recorded."""
    browser = sites.local(sites.site(world))
    browser.see("/record/")
    before = size(world)
    html = browser.fill("/record/subject", subject=SUBJECT)
    assert page_of(decided) in html
    assert SUBJECT not in html
    assert ["look"] == kinds(world, before)
    assert 405 == browser.get("/record/subject", params={"subject": "x"}).status_code


def test_nobody_known_by_a_name_leaves_nothing(world: World, decided: Recorded) -> None:
    """A search for somebody of whom nothing is recorded finds nothing and keeps nothing."""
    browser = sites.local(sites.site(world))
    browser.see("/record/")
    before = size(world)
    assert "No decision was found" in browser.fill("/record/subject", subject="nobody at all")
    assert before == size(world)


def test_days_list_decisions_newest_first_without_a_look(world: World, promoted: Promotion) -> None:
    """A stretch of days lists ids, pages on without a gap, and says nothing of anybody."""
    sent = [versions.application(person=f"t{n}") for n in range(search.SHOWN + 5)]
    made = world.decide(promoted, sent)
    before = size(world)
    today = dt.datetime.now(dt.UTC).date()
    asked = search.span(str(today), str(today), today)
    first = search.by_time(world.ledger, asked)
    second = search.by_time(world.ledger, asked, first.older)
    listed = [each.id for each in (*first.decisions, *second.decisions)]
    assert [each.id for each in reversed(made)] == listed[: len(made)]
    assert before == size(world)
    html = sites.local(sites.site(world)).see(f"/record/decisions?start={today}&end={today}")
    assert "Older ones" in html
    old = search.span("2020-01-01", "2020-01-02", today)
    assert search.Listed((), None) == search.by_time(world.ledger, old)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("before=" + "9" * 5000, 400),
        ("before=" + "9" * 18, 200),
        ("end=0001-01-01", 400),
        ("end=9999-12-31", 400),
        ("start=0001-01-01", 200),
    ],
    ids=["too long a place", "a far place", "the first day", "the last day", "all days"],
)
def test_the_ends_of_the_calendar_are_answered(world: World, asked: str, status: int) -> None:
    """A search at the edge of what can be counted is carried out or refused, never a fault."""
    sites.local(sites.site(world)).see(f"/record/decisions?{asked}", status)


def test_an_erased_decision_shows_its_tombstone(world: World, promoted: Promotion) -> None:
    """What was erased is 410 with a page that says so."""
    (found,) = world.decide(promoted, [versions.application(person="gone")])
    erasure.erase(world.ledger, erasure.plan(world.ledger, "gone"), "asked for")
    html = sites.local(sites.site(world)).see(page_of(found), 410)
    assert "erased on purpose" in html


def test_a_key_opens_a_session_and_its_roles_bound_it(keyed: World, decided: Recorded) -> None:
    """A reader reads; who may only decide is refused; who is nobody is sent to log in."""
    reader, decider = key(keyed, "rita", Role.READ), key(keyed, "dora", Role.DECIDE)
    made = sites.site(keyed)
    assert decided.id in sites.with_key(made, reader).see(page_of(decided))
    assert "role read or audit" in sites.with_key(made, decider).see(page_of(decided), 403)
    stranger = Browser(made)
    assert "/record/login?next=" in stranger.see(page_of(decided), 401)
    assert "Nobody is known" in stranger.fill("/record/login", 401, key="clew_wrong", next="/")
    assert not stranger.cookies


def test_the_first_key_closes_running_pages(keyed: World, decided: Recorded) -> None:
    """A session opened while nobody needed a key ends once there is one, for programs too."""
    made = sites.site(keyed)
    browser = sites.local(made)
    assert decided.id in browser.see(page_of(decided))
    key(keyed, "rita", Role.READ)
    browser.see(page_of(decided), 401)
    assert "/record/login?next=" in Browser(made).see(page_of(decided), 401)


def test_a_revoked_key_ends_its_sessions(keyed: World, decided: Recorded) -> None:
    """Revoking a key shuts the pages that are open with it at once."""
    rita = key(keyed, "rita", Role.READ)
    browser = sites.with_key(sites.site(keyed), rita)
    api_keys.revoke(keyed.state.api_keys, "rita")
    browser.see(page_of(decided), 401)


def test_a_cookie_ends_by_logging_out_by_time_and_by_a_changed_byte(keyed: World) -> None:
    """A copy of a cookie opens nothing after the logout, the eighth hour, or an edit."""
    rita, now = key(keyed, "rita", Role.READ), [1000.0]
    sessions = Sessions(ApiKeys(keyed.state.api_keys), lambda: now[0])
    cookie, session = sessions.open(rita)
    assert "rita" == sessions.read(cookie)[1].name
    with pytest.raises(NotKnown):
        sessions.read(("B" if cookie[0] == "A" else "A") + cookie[1:])
    sessions.end(session)
    with pytest.raises(NotKnown):
        sessions.read(cookie)
    cookie, _ = sessions.open(rita)
    now[0] += SECONDS
    with pytest.raises(NotKnown):
        sessions.read(cookie)


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(keyed: World) -> None:
    """The session's cookie is HttpOnly and SameSite=Strict, and Secure over HTTPS."""
    rita = key(keyed, "rita", Role.READ)
    for scheme, secure in (("http", False), ("https", True)):
        browser = Browser(sites.site(keyed), f"{scheme}://pages.example")
        answer = browser.post(
            "/record/login", data={"key": rita, "next": "/record/"}, follow_redirects=False
        )
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert secure == ("secure" in cookie)


def test_a_form_of_another_site_or_without_its_token_is_refused(world: World) -> None:
    """A form needs its session's token, and must come from this site's own pages."""
    browser = sites.local(sites.site(world))
    form = {"subject": SUBJECT, "token": "0" * 64}
    before = size(world)
    assert 403 == browser.post("/record/subject", data=form).status_code
    browser.see("/record/")
    token = sites.TOKEN.search(browser.seen)
    assert token is not None
    form["token"] = token[1]
    for header in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert 403 == browser.post("/record/subject", data=form, headers=header).status_code
    assert before == size(world)


def test_without_keys_only_this_machine_is_answered(world: World, decided: Recorded) -> None:
    """A name that somebody points at this machine opens nothing while there are no keys."""
    stranger = Browser(sites.site(world), "http://rebound.example:8391")
    for path in ("/record/login", "/record/", page_of(decided)):
        assert 403 == stranger.get(path).status_code


def test_pages_allow_no_script_and_ask_nobody_else(world: World, decided: Recorded) -> None:
    """The policy of every page forbids scripts, frames and other hosts; no page names one."""
    browser = sites.local(sites.site(world))
    for path in ("/record/", page_of(decided), "/record/models", "/record/watch"):
        answer = browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "no-store" == answer.headers["cache-control"]
        for text in ("<script", "style=", "//"):
            assert text not in answer.text


def test_too_many_pages_are_refused_for_a_while(world: World) -> None:
    """The limits of the decision service hold here too."""
    browser = sites.local(sites.site(world, requests_per_second=0.01, burst=4))
    answers = [browser.get("/record/watch") for _ in range(5)]
    assert [200, 200, 429] == [
        each.status_code for each in answers[:1] + answers[1:2] + answers[-1:]
    ]
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "path", ["//evil.example/", "https://evil.example", "/record/../x//y", "/other", "/record/\\e"]
)
def test_a_login_leads_on_within_the_record_only(path: str) -> None:
    """What comes after the login is a page of the record, whatever the address says."""
    assert "/record/" == within(path)


def test_who_is_in_already_is_led_on_by_the_login(keyed: World, decided: Recorded) -> None:
    """The login asks nobody twice, whatever their roles."""
    browser = sites.with_key(sites.site(keyed), key(keyed, "dora", Role.DECIDE))
    found = browser.get(f"/record/login?next={page_of(decided)}", follow_redirects=False)
    assert (303, page_of(decided)) == (found.status_code, found.headers["location"])


def test_nothing_sent_is_sent_on_to_another_path(world: World) -> None:
    """A path with a slash too many is not there: no redirect repeats a form, or a host's name."""
    found = sites.local(sites.site(world)).get("/record/style.css/", follow_redirects=False)
    assert 404 == found.status_code


def test_what_was_received_is_escaped(world: World, promoted: Promotion) -> None:
    """A value that looks like markup is shown as text."""
    mark = "<img src=x onerror=alert(1)>"
    (found,) = world.decide(promoted, [versions.application(person=mark)])
    html = sites.local(sites.site(world)).see(page_of(found))
    assert mark not in html
    assert "&lt;img src=x" in html


def test_a_thread_that_does_not_hold_is_told_and_the_decision_still_shown(
    world: World, tmp_path: Path
) -> None:
    """A broken version is an alarm on the page; the record and its proof are still there."""
    own = World(tmp_path)
    (found,) = own.decide(own.version(), [versions.application()])
    sites.local(sites.site(own)).see(page_of(found))
    kept = next(own.state.versions.rglob("files/snapshot.json"))
    kept.write_text(kept.read_text() + " ")
    html = sites.local(sites.site(own)).see(page_of(found))
    own.close()
    assert "The thread does not hold" in html
    assert f"entry {found.index} of" in html


def test_the_watch_s_findings_stand_by_window_with_the_worst_of_each_check(world: World) -> None:
    """A window shows the worst of each check, and every finding in words; others are escaped."""
    alarm = Found("drift", "income", "psi", "alarm", "it moved <far>", 0.31, 0.2, 400)
    fine = Found("drift", "job", "psi", "ok", "as before", 0.01, 0.2, 400)
    start, end = "2026-11-01T00:00:00+00:00", "2026-11-08T00:00:00+00:00"
    report = Report(start, end, "1", 400, "alert", (alarm, fine))
    made = dataclasses.replace(sites.site(world), reports=lambda: [report])
    html = sites.local(made).see("/record/watch")
    assert "it moved &lt;far&gt;" in html
    assert "1 finding not in order" in html
    assert 1 == html.count('<td><span class="bad">drift</span></td>')
