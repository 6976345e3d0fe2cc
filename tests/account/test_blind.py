"""A blind audit: figures come out, and neither the auditor's rows nor the model do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from pipelines.account import blind, blind_worker
from pipelines.account.sandbox import choose
from pipelines.canonical import sha256_bytes
from pipelines.decisions.admit import ApplicationRefused
from pipelines.decisions.decide import judge
from pipelines.errors import BadRequest, GateRefused
from pipelines.ledger import verify
from pipelines.params import AuditParams, DecideParams
from tests.account.worlds import World, world
from tests.decisions import versions

RULES = AuditParams(min_group_size=20, digits=2, most_blind=3, max_overlap=0.5)
MARK = "marked-auditor-7731"
SIZE = 240


def rows(seed: int, size: int = SIZE) -> pd.DataFrame:
    """Return an auditor's rows: applications with groups and targets."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "person": [f"{MARK}-{seed}-{n}" for n in range(size)],
            "income": rng.uniform(0.0, 120.0, size).round(2),
            "self": rng.integers(0, 10, size),
            "job": rng.choice(["clerk", "cook"], size),
            "town": "Be",
            "owner": rng.choice(["true", "false"], size),
            "grade": rng.choice([1, 2, 3], size),
            "since": "2011-03-04",
            "paid_at": "2026-02-03T04:05:06Z",
            "ratio": rng.uniform(-0.9, 1.0, size).round(2),
            "origin": rng.choice(["north", "south"], size, p=[0.8, 0.2]),
            "good": rng.choice(["yes", "no"], size),
        }
    )


def job(source: Path, **changes: Any) -> blind_worker.Job:
    fields = {
        "files": "",
        "version": None,
        "settings": DecideParams(),
        "source": str(source),
        "key": "00",
        "ask": ("bias", "error", "calibration"),
        "min_group_size": 20,
        "digits": 2,
    }
    return blind_worker.Job(**(fields | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = world(tmp_path_factory.mktemp("blind"))
    found.decide("person-before")
    yield found
    found.bench.place.close()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker's own code answer in this process: the same job and answer, as JSON."""

    def answer(_: blind.Wish, given: bytes, __: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            blind_worker.answered(msgspec.json.decode(given, type=blind_worker.Job))
        )
        return found

    monkeypatch.setattr(blind, "_sandboxed", answer)


def ask(made: World, folder: Path, frame: pd.DataFrame, **changes: Any) -> blind.Report:
    folder.mkdir(exist_ok=True)
    source = folder / "theirs.parquet"
    frame.reset_index(drop=True).to_parquet(source)
    fields = {"ask": blind.ANSWERS, "person": "Ada", "version": "1", "sandbox": "process"}
    wish = blind.Wish(source=source, **(fields | changes))
    registry = made.bench.registry
    return blind.run(made.ledger, registry, DecideParams(), RULES, wish, folder / "report")


def test_figures_are_those_of_the_decisions_and_nothing_else_comes_out(
    made: World, tmp_path: Path
) -> None:
    """Selection rates by group equal a count by hand; report, log and folder hold no row."""
    frame = rows(1)
    report = ask(made, tmp_path, frame)
    model = versions.loaded(tmp_path / "v")
    approved = []
    for row in frame.drop(columns=["good"]).to_dict("records"):
        fields = row | {"owner": row["owner"] == "true"}
        try:
            admitted = model.admission.admit(json.dumps(fields).encode())
        except ApplicationRefused:
            approved.append(None)
            continue
        approved.append(judge(model, admitted).outcome == "approve")
    assert None not in approved
    rates = frame.assign(yes=approved).groupby("origin")["yes"].mean()
    told = report.figures["bias"]["origin"]["groups"]
    assert {name: round(rate, 2) for name, rate in rates.items()} == {
        name: each["selection_rate"] for name, each in told.items()
    }
    agree = (frame["good"] == "yes") == pd.Series(approved)
    assert round(float(agree.mean()), 2) == report.figures["error"]["accuracy"]
    files = b"".join(each.read_bytes() for each in (tmp_path / "report").iterdir())
    last = made.ledger.row(made.bench.size() - 1)
    for text in (MARK.encode(), str(frame["income"][0]).encode()):
        assert text not in files + last.entry + made.ledger.read(last.id).content


@pytest.mark.usefixtures("here")
def test_the_report_is_recorded_and_its_proof_is_signed(made: World, tmp_path: Path) -> None:
    """The one-file verifier takes the folder; the entry holds the report's digest."""
    ask(made, tmp_path, rows(2))
    folder = tmp_path / "report"
    assert verify.FINE == verify.verify(folder, made.bench.place.policy)[0]
    entry = json.loads((folder / "entry.json").read_bytes())
    assert sha256_bytes((folder / "report.json").read_bytes()) == entry["r"]
    assert ("blind-audit", "1") == (entry["t"], entry["mv"])


@pytest.mark.usefixtures("here")
def test_the_same_people_get_the_same_report(fresh: World, tmp_path: Path) -> None:
    """Asking again, in another order and under other names, costs nothing and tells nothing new."""
    frame = rows(3)
    first, size = ask(fresh, tmp_path / "a", frame), fresh.bench.size()
    other = frame.sample(frac=1.0, random_state=1).assign(person=[str(n) for n in range(SIZE)])
    assert first == ask(fresh, tmp_path / "b", other)
    assert size == fresh.bench.size()


@pytest.mark.usefixtures("here")
def test_all_but_one_person_is_refused(fresh: World, tmp_path: Path) -> None:
    """The same data less a row, or with one value slightly changed, would tell about one person."""
    frame = rows(4)
    ask(fresh, tmp_path / "a", frame)
    less, nudged = frame.iloc[1:], frame.copy()
    nudged.loc[0, "income"] = 77.7
    size = fresh.bench.size()
    for name, each in (("b", less), ("c", nudged)):
        with pytest.raises(GateRefused, match="too many of these people"):
            ask(fresh, tmp_path / name, each)
        assert not (tmp_path / name / "report").exists()
    assert size == fresh.bench.size()


@pytest.mark.usefixtures("here")
def test_a_version_answers_so_often_and_no_more(fresh: World, tmp_path: Path) -> None:
    """Each audit is counted in the log; the one beyond the limit is refused."""
    told = [ask(fresh, tmp_path / str(seed), rows(seed)).audit for seed in (10, 11, 12)]
    assert [1, 2, 3] == told
    with pytest.raises(GateRefused, match="as many blind audits"):
        ask(fresh, tmp_path / "13", rows(13))
    assert 1 == ask(fresh, tmp_path / "14", rows(14), version="2").audit


def test_small_groups_are_withheld_with_what_would_give_them_away() -> None:
    """A single small group takes the smallest large one with it; unknown is never a group."""
    assert ["a", "b"] == sorted(blind_worker.large_enough({"a": 50, "b": 30}, 20, 2))
    assert ["a"] == blind_worker.large_enough({"a": 50, "b": 30, "c": 5}, 20, 2)
    assert ["b", "a"] == blind_worker.large_enough({"a": 50, "b": 30, "c": 15, "d": 9}, 20, 2)
    assert [] == blind_worker.large_enough({"a": 50, "c": 5}, 20, 2)
    assert ["a"] == blind_worker.large_enough({"a": 50, "unknown": 40}, 20, 2)


def test_what_rounding_hides_takes_no_other_group_with_it() -> None:
    """Fifteen of two thousand are within the rounding of the whole's rate; twenty-five are not."""
    assert ["b", "a"] == blind_worker.large_enough({"a": 1600, "b": 385, "c": 15}, 30, 2)
    assert ["a"] == blind_worker.large_enough({"a": 1600, "b": 385, "c": 25}, 30, 2)


def people(identity: list[str], **changes: Any) -> blind_worker.People:
    size = len(identity)
    fields = {
        "margin": np.linspace(-2.0, 2.0, size),
        "approved": np.arange(size) % 2,
        "referred": np.zeros(size, dtype=bool),
        "target": np.arange(size) // 2 % 2,
        "group": pd.DataFrame({"origin": ["north"] * size}),
        "identity": identity,
        "refused": 0,
    }
    return blind_worker.People(**(fields | changes))


def test_copies_of_one_person_are_one_person(tmp_path: Path) -> None:
    """Thirty copies of a row are no group: its rate would be one person's decision."""
    with pytest.raises(BadRequest, match="too few"):
        blind_worker.figures(people(["same"] * 100), job(tmp_path))


def test_a_rate_of_few_people_is_withheld(tmp_path: Path) -> None:
    """Where only a few have a target or an approval, the rate that rests on them is not told."""
    target = np.zeros(100, dtype=np.int64)
    target[:5] = 1
    found = blind_worker.figures(people([str(n) for n in range(100)], target=target), job(tmp_path))
    told = found["bias"]["origin"]["groups"]["north"]
    assert (None, 0.5) == (told["true_positive_rate"], told["selection_rate"])
    assert told["false_positive_rate"] is not None
    assert (None, None) == (found["error"]["true_positive_rate"], found["error"]["roc_auc"])


def test_calibration_has_only_bins_of_enough_people(tmp_path: Path) -> None:
    """Fewer bins where there are fewer people, none where a bin would be too small."""
    many = people([str(n) for n in range(100)])
    assert 5 == len(blind_worker.calibration(many, job(tmp_path))["bins"])
    assert 1 == len(blind_worker.calibration(many, job(tmp_path, min_group_size=60))["bins"])
    few = people([str(n) for n in range(30)])
    assert [] == blind_worker.calibration(few, job(tmp_path, min_group_size=60))["bins"]


@pytest.mark.usefixtures("here")
def test_figures_of_the_target_need_one(made: World, tmp_path: Path) -> None:
    """Without targets bias has selection rates alone, and error is refused without a value."""
    frame = rows(5).drop(columns=["good"])
    with pytest.raises(BadRequest, match="need the target"):
        ask(made, tmp_path / "a", frame)
    told = ask(made, tmp_path / "b", frame, ask=("bias",)).figures["bias"]["origin"]["groups"]
    assert {"people", "selection_rate", "impact_ratio"} == set(told["north"])


@pytest.mark.usefixtures("here")
def test_a_fault_inside_tells_no_value(made: World, tmp_path: Path) -> None:
    """Whatever the sandbox stumbles over, its message quotes nothing of the data."""
    frame = rows(6).rename(columns={"income": MARK})
    with pytest.raises(BadRequest) as error:
        ask(made, tmp_path, frame)
    assert "does not know" in str(error.value)
    source = tmp_path / "broken.parquet"
    source.write_text(MARK)
    wish = blind.Wish(source, "1", ("bias",), "Ada", "process")
    with pytest.raises(BadRequest) as error:
        blind.run(made.ledger, made.bench.registry, DecideParams(), RULES, wish, tmp_path / "r")
    assert MARK not in str(error.value)


def test_overlap_is_the_share_of_the_smaller_one() -> None:
    """Equal sets share all, different ones nothing, a part of a larger one all of itself."""
    digests = [
        blind_worker.hmac.new(b"k", str(n).encode(), "sha256").hexdigest() for n in range(4000)
    ]
    first, half = blind_worker.sketch(digests[:2000]), blind_worker.sketch(digests[1000:3000])
    assert 1.0 == blind.overlap(first, first)
    assert 0.0 == blind.overlap(first, blind_worker.sketch(digests[2000:]))
    assert 0.35 < blind.overlap(first, half) < 0.65
    assert 0.9 < blind.overlap(first, blind_worker.sketch(digests[:300]))
    assert 0.0 == blind.overlap(first, [])


def test_nobody_is_audited_where_a_network_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a sandbox that cuts the network there is no report, unless a person asks for one."""
    monkeypatch.setattr(blind, "choose", lambda _: choose("process"))
    wish = blind.Wish(tmp_path, "1", ("bias",), "Ada")
    with pytest.raises(GateRefused, match="no sandbox without a network"):
        blind._apart(wish)
    assert "process" == blind._apart(replace(wish, sandbox="process")).kind


def test_the_strictest_sandbox_of_this_machine_answers(made: World, tmp_path: Path) -> None:
    """With the network off the same figures come out."""
    box = choose()
    if box.network:
        pytest.skip("no sandbox that cuts the network works here")
    report = ask(made, tmp_path, rows(7), sandbox=None, version="2")
    assert (box.kind, False) == (report.sandbox, report.network)


@pytest.mark.parametrize("text", ["", "biass", "bias,rows"])
def test_only_agreed_figures_can_be_asked_for(text: str) -> None:
    """Anything else is refused with the closest word."""
    with pytest.raises(BadRequest):
        blind.asked(text)


def test_the_parameters_are_checked() -> None:
    """What the report says of its rules is what the parameters say."""
    assert ("bias", "error") == blind.asked("bias, error,bias")
    assert 0.5 == msgspec.structs.asdict(RULES)["max_overlap"]
