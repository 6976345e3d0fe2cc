"""The buttons of a decision's page, and the same for programs: one function behind both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.account.afterwards import course
from pipelines.account.web.app import create
from pipelines.decisions.record import Recorded, as_number
from pipelines.decisions.service import api_keys
from pipelines.decisions.service.api_keys import Role
from pipelines.records import Promotion
from tests.account.web import sites
from tests.account.world import ROOT, World
from tests.conftest import git
from tests.decisions import versions

OUTCOMES = re.compile(r'class="outcome (\w+)"')
SAID = "My income was taken down <wrongly>."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def promoted(world: World) -> Promotion:
    return world.version(run_id="train_model__1", commit=git(ROOT, "rev-parse", "HEAD"))


@pytest.fixture
def decided(world: World, promoted: Promotion) -> Recorded:
    return world.decide(promoted, [versions.application(income=2.0, self=18)])[0]


@pytest.fixture
def keyed(world: World) -> Iterator[World]:
    yield world
    world.state.api_keys.unlink(missing_ok=True)


def key(world: World, name: str, *roles: Role) -> str:
    return api_keys.create(world.state.api_keys, name, roles)


def kinds(world: World, start: int) -> list[str]:
    rows = world.ledger.store.rows(start, size(world))
    return [json.loads(row.entry)["t"] for row in rows]


def size(world: World) -> int:
    return world.ledger.checkpoint()[0].size


def page_of(found: Recorded) -> str:
    return f"/record/decisions/{found.id}"


def program(world: World, secret: str = "") -> TestClient:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return TestClient(create(sites.site(world)), base_url=sites.LOCAL, headers=headers)


def ask(client: TestClient, method: str, found: Recorded, name: str, **words: Any) -> Any:
    return client.request(method, f"/v1/decisions/{found.id}/{name}", **words)


def test_a_statement_is_taken_down_and_a_review_answers_it(world: World, decided: Recorded) -> None:
    """Contest and review stand on the page, with names and deadline, and what holds changes."""
    browser = sites.local(sites.site(world))
    browser.see(page_of(decided))
    html = browser.fill(f"{page_of(decided)}/contest", statement=SAID, person="Cora")
    assert "My income was taken down &lt;wrongly&gt;." in html
    assert "1 contest waits for an answer" in html
    words = {"outcome": "approve", "reason": "the payslip says so", "person": "Rita"}
    html = browser.fill(f"{page_of(decided)}/override", **words)
    assert "What holds now" in html
    assert "waits for an answer" not in html
    found = course(world.ledger, as_number(decided.id))
    assert ("approve", True) == (found.outcome, found.by_person)


def test_with_keys_the_name_on_record_is_the_key_s(keyed: World, decided: Recorded) -> None:
    """Who reviews cannot take another's name: four eyes would be two."""
    rita = key(keyed, "rita", Role.READ, Role.DECIDE)
    browser = sites.with_key(sites.site(keyed), rita)
    assert 'name="person"' not in browser.see(page_of(decided))
    words = {"outcome": "approve", "reason": "because", "person": "Somebody Else"}
    browser.fill(f"{page_of(decided)}/override", **words)
    (step,) = course(keyed.ledger, as_number(decided.id)).steps
    assert "rita" == step.said.person


def test_who_may_only_read_reviews_nothing(keyed: World, decided: Recorded) -> None:
    """The page of a reader has no review form, and the form is refused all the same."""
    rita = key(keyed, "rita", Role.READ)
    browser = sites.with_key(sites.site(keyed), rita)
    assert "Review this decision" not in browser.see(page_of(decided))
    before = size(keyed)
    browser.fill(f"{page_of(decided)}/override", 403, outcome="approve", reason="x")
    assert before == size(keyed)


@pytest.mark.parametrize(
    ("kind", "start"), [("html", b"<!doctype html>"), ("pdf", b"%PDF-"), ("md", b"Boston")]
)
def test_a_letter_comes_in_each_form_and_leaves_a_look(
    world: World, decided: Recorded, kind: str, start: bytes
) -> None:
    """The letter is the person's data: writing it is recorded; as a page it can run nothing."""
    browser = sites.local(sites.site(world))
    browser.see(page_of(decided))
    before = size(world)
    token = sites.TOKEN.search(browser.seen)
    assert token is not None
    form = {"token": token[1], "format": kind, "language": "de"}
    answer = browser.post(f"{page_of(decided)}/letter", data=form)
    assert 200 == answer.status_code, answer.text
    assert start.lower() in answer.content[:400].lower()
    assert "sandbox" in answer.headers["content-security-policy"]
    assert ("attachment" in answer.headers.get("content-disposition", "")) == (kind != "html")
    assert ["look"] == kinds(world, before)


def test_a_letter_in_a_language_that_there_is_not_is_refused_before_the_look(
    world: World, decided: Recorded
) -> None:
    """What cannot be written is no reason to look at anybody's record."""
    before = size(world)
    answer = ask(program(world), "GET", decided, "letter", params={"language": "tlh"})
    assert (400, before) == (answer.status_code, size(world))


def test_programs_get_the_thread_as_json(world: World, decided: Recorded) -> None:
    """The thread comes with every knot, and the look is recorded first."""
    before = size(world)
    found = ask(program(world), "GET", decided, "trace").json()
    assert decided.id == found["decision_id"]
    assert decided.made.origin.snapshot_id in {each["id"] for each in found["knots"]}
    assert ["look"] == kinds(world, before)


def test_programs_contest_and_review(world: World, decided: Recorded) -> None:
    """What a person can do on the page a program can do over HTTP."""
    client = program(world)
    said = {"statement": SAID, "person": "Cora"}
    made = ask(client, "POST", decided, "contest", json=said).json()
    review = {"outcome": "approve", "reason": "so it is", "person": "Rita"}
    found = ask(client, "POST", decided, "override", json=review).json()
    assert ("approve", [made["contest"]]) == (found["outcome"], found["answered"])


@pytest.mark.parametrize(
    ("method", "name", "needed"),
    [
        ("GET", "trace", Role.AUDIT),
        ("POST", "replay", Role.AUDIT),
        ("POST", "what-if", Role.AUDIT),
        ("POST", "counterfactual", Role.AUDIT),
        ("GET", "letter", Role.READ),
        ("POST", "contest", Role.READ),
        ("POST", "override", Role.DECIDE),
    ],
)
def test_every_route_asks_for_a_key_and_its_role(
    keyed: World, decided: Recorded, method: str, name: str, needed: Role
) -> None:
    """Without a key it is 401, with every role but the needed ones 403, and nothing is recorded."""
    others = [each for each in Role if each is not needed and each not in (Role.READ, Role.AUDIT)]
    secret, before = key(keyed, "olaf", *others), size(keyed)
    assert 401 == ask(program(keyed), method, decided, name).status_code
    answer = ask(program(keyed, secret), method, decided, name)
    assert (403, "application/problem+json") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    assert before == size(keyed)


def test_a_broken_body_is_told_by_its_fields(world: World, decided: Recorded) -> None:
    """What is wrong with a request is said without repeating it."""
    answer = ask(program(world), "POST", decided, "contest", json={"statement": 7, "mark": SAID})
    assert 400 == answer.status_code
    assert "an object with statement, person" in answer.text
    assert SAID not in answer.text


def test_without_keys_no_page_of_a_browser_is_answered_json(
    world: World, decided: Recorded
) -> None:
    """A page in a browser sends its origin; while there are no keys that is refused."""
    headers = {"Origin": "http://127.0.0.1:8391"}
    assert 403 == ask(program(world), "GET", decided, "trace", headers=headers).status_code


def test_the_description_names_every_route_for_programs(world: World) -> None:
    """The OpenAPI document has every route under /v1, with what it takes, and no page."""
    made = create(sites.site(world))
    described = program(world).get("/openapi.json").json()
    own = {
        (route.path, method.lower())
        for route in made.routes
        if route.path.startswith("/v1/")  # type: ignore[attr-defined]
        for method in route.methods  # type: ignore[attr-defined]
    }
    told = {(path, method) for path, each in described["paths"].items() for method in each}
    assert own == told
    body = described["paths"]["/v1/decisions/{decision_id}/override"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert {"outcome", "reason"} == set(schema["required"])


def test_the_model_is_asked_what_if_by_a_form_of_the_contract(
    world: World, decided: Recorded
) -> None:
    """Changed fields alone go to the model that decided; the answer is shown and not recorded."""
    browser = sites.local(sites.site(world))
    browser.see(page_of(decided))
    before = size(world)
    form = {"f.income": "400", "f.self": "0", "f.person": "somebody else"}
    html = browser.fill(f"{page_of(decided)}/what-if", **form)
    changed = re.findall('<th scope="row">(.*?)</th><td>(.*?)</td><td class="changed">(.*?)<', html)
    assert [("The income", "2", "400"), ("The debts", "18", "0")] == changed
    assert ["decline", "approve"] == OUTCOMES.findall(html)
    assert ["look"] == kinds(world, before)
    refused = browser.fill(f"{page_of(decided)}/what-if", **{"f.job": "pirate"})
    assert "would have been sent back" in refused
    unknown = browser.fill(f"{page_of(decided)}/what-if", 400, **{"f.person": "x"})
    assert "nothing to change" in unknown.lower()


def test_programs_ask_what_if(world: World, decided: Recorded) -> None:
    """Numbers and texts are taken alike; a field that there is not is refused."""
    client = program(world)
    changes = {"income": 400, "self": "0"}
    found = ask(client, "POST", decided, "what-if", json={"changes": changes}).json()
    assert ("decline", "approve") == (found["before"]["outcome"], found["after"]["outcome"])
    unknown = ask(client, "POST", decided, "what-if", json={"changes": {"incom": 1}})
    assert 400 == unknown.status_code


def test_the_nearest_changes_are_shown_as_they_are_found(world: World, decided: Recorded) -> None:
    """Page and program give the same changes, or the same word on why there are none."""
    browser = sites.local(sites.site(world))
    browser.see(page_of(decided))
    html = browser.fill(f"{page_of(decided)}/counterfactual")
    found = ask(program(world), "POST", decided, "counterfactual").json()
    assert "decline" == found["outcome"]
    assert found["bound"][1:] in html
    assert len(found["found"]) == html.count('id="way-')


def test_a_decision_is_replayed_by_a_button(
    world: World, promoted: Promotion, decided: Recorded
) -> None:
    """The receipt says how like, in what it ran, and stands in the log; programs get it whole."""
    browser = sites.local(sites.site(world))
    browser.see(page_of(decided))
    before = size(world)
    html = browser.fill(f"{page_of(decided)}/replay")
    assert "Identical, bit by bit" in html
    assert decided.made.origin.commit in html
    assert "by the model itself" in html
    assert ["replay", "look"] == kinds(world, before)
    assert f"{page_of(decided)}/replays/" in browser.see(page_of(decided))
    assert "by the kept plan" in browser.fill(f"{page_of(decided)}/replay")
    (other,) = world.decide(promoted, [versions.application(person="another")])
    receipt = world.ledger.row(before).id.hex()
    browser.see(f"{page_of(other)}/replays/{receipt}", 404)
    browser.see(f"{page_of(decided)}/replays/{decided.id}", 404)
    found = ask(program(world), "POST", decided, "replay").json()
    assert ("identical", decided.id) == (found["result"], found["decision_id"])
    assert world.ledger.row(size(world) - 1).entry.decode() == found["sealed"]["entry"]
