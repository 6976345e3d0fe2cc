"""One decision: which outcome, on what basis, and what is said of it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines.decisions.decide import Holdout, decide, judge, probability
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.records import Decided, Stop
from pipelines.errors import BadRequest
from pipelines.model.score import probabilities
from tests.decisions.versions import application, loaded

STOP = Stop(person="Ada", reason="wrong prices", at="2026-11-22T00:00:00Z")
NO = Holdout()
EVERYBODY = Holdout(share=1.0, key=b"key")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return loaded(tmp_path_factory.mktemp("version"))


def at(model: LoadedModel, **changes: Any) -> LoadedModel:
    return dataclasses.replace(model, **changes)


def margin(model: LoadedModel, **changes: Any) -> float:
    return model.margin(model.admission.admit(application(**changes)).values)


def decided(model: LoadedModel, holdout: Holdout = NO, **changes: Any) -> Decided:
    return decide(Standing(model), application(**changes), "request-1", holdout)


def test_a_margin_at_the_operating_point_approves(model: LoadedModel) -> None:
    """At it: approve; at the next double above the margin: decline. The comparison is exact."""
    own = margin(model)
    point = {"threshold": own, "decline_below": own, "approve_from": own}
    assert "approve" == decided(at(model, **point)).outcome
    above = dict.fromkeys(point, math.nextafter(own, math.inf))
    found = decided(at(model, **above))
    assert ("decline", "score") == (found.outcome, found.because)
    assert own.hex() == found.margin


def test_inside_the_band_a_person_decides(model: LoadedModel) -> None:
    """From the lower end up to the upper end, which itself approves."""
    own = margin(model)
    inside = at(model, decline_below=own, approve_from=math.nextafter(own, math.inf))
    assert ("refer", "band") == (decided(inside).outcome, decided(inside).because)
    assert "approve" == decided(at(model, decline_below=own - 1, approve_from=own)).outcome
    below = at(model, decline_below=math.nextafter(own, math.inf), approve_from=own + 1)
    assert "decline" == decided(below).outcome


def test_declines_and_referrals_by_the_margin_have_reasons(model: LoadedModel) -> None:
    """An approval has none unless it is asked for."""
    declined = decided(at(model, decline_below=1e6, approve_from=1e6))
    referred = decided(at(model, decline_below=-1e6, approve_from=1e6))
    approved = decided(at(model, decline_below=-1e6, approve_from=-1e6))
    assert declined.reasons
    assert declined.reasons == referred.reasons
    assert () == approved.reasons


def test_a_decision_names_everything_that_it_rests_on(model: LoadedModel) -> None:
    """Model by content, operating point, band, reference, contract: all by value or digest."""
    found = decided(model)
    assert model.name == found.model
    assert (model.threshold.hex(),) * 3 == (
        found.threshold,
        found.decline_below,
        found.approve_from,
    )
    assert model.candidate.reference_sha256 == found.reference_sha256
    assert ("request-1", "p-marked-7261") == (found.request_id, found.subject)
    assert 31.25 == (found.values or {})["income"]
    assert found.probability == pytest.approx(1 / (1 + math.exp(-margin(model))))


def test_a_decision_has_a_canonical_form(model: LoadedModel) -> None:
    """It can be written and read again, dates and all, as the same bytes."""
    for found in (decided(model), decided(model, grade=9), decided(model, nosuch=1)):
        again = msgspec.json.decode(found.canonical(), type=Decided)
        assert found.canonical() == again.canonical()
        assert found.id == again.id


def test_a_stop_refers_everybody_and_scores_nobody(model: LoadedModel) -> None:
    """Who would be approved, declined or held out is referred; the record says who stopped."""
    broken = at(model, plan=None)
    for holdout in (NO, EVERYBODY):
        found = decide(Standing(broken, stop=STOP), application(), "r", holdout)
        assert ("refer", "stopped", None, (), STOP) == (
            found.outcome,
            found.because,
            found.margin,
            found.reasons,
            found.stop,
        )


def test_what_is_wrong_is_sent_back_even_while_stopped(model: LoadedModel) -> None:
    """A refused application is decided by nobody."""
    for standing in (Standing(model), Standing(model, stop=STOP)):
        found = decide(standing, application(grade="x"), "r", EVERYBODY)
        assert ("refuse", "refused", None, None) == (
            found.outcome,
            found.because,
            found.margin,
            found.values,
        )
        assert [("grade", "wrong-type")] == [
            (each.field, each.rule)
            for each in found.problems  # type: ignore[union-attr]
        ]
        assert "p-marked-7261" == found.subject


def test_bytes_that_are_no_application_have_no_subject(model: LoadedModel) -> None:
    """Nothing raises, whatever is sent."""
    for data in (b"", b"\xff", b"[" * 60_000, b"{}", b'{"person": {"a": 1}}'):
        found = decide(Standing(model), data, "r", NO)
        assert ("refuse", None) == (found.outcome, found.subject)


def test_what_nobody_documented_is_not_scored(model: LoadedModel) -> None:
    """A person decides, and is told which column by which rule."""
    for holdout in (NO, EVERYBODY):
        found = decided(model, holdout, income=1e300)
        assert ("refer", "outside", None) == (found.outcome, found.because, found.margin)
        assert ["income"] == [each.column for each in found.problems]  # type: ignore[union-attr]


def test_a_strange_protected_value_changes_no_decision(model: LoadedModel) -> None:
    """Outcome and margin are those of the application without it."""
    plain, strange = decided(model), decided(model, origin="west", years=3)
    assert (plain.outcome, plain.margin, plain.because) == (
        strange.outcome,
        strange.margin,
        strange.because,
    )
    assert 2 == len(strange.problems)


def test_a_probability_has_the_bits_of_scipy() -> None:
    """Of ordinary margins and of those that overflow, so that one definition stands in records."""
    drawn = [np.random.default_rng(7).normal(0, scale, 5000) for scale in (0.1, 5, 50, 700)]
    edges = [0.0, -0.0, 5e-324, 709.78, -709.78, -709.79, -745.2, 1e308, -1e308]
    margins = np.concatenate([*drawn, edges])
    expected = [float(each).hex() for each in probabilities(margins)]
    assert expected == [float.hex(probability(float(each)) or 0.0) for each in margins]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_margin_that_is_no_number_decides_nothing(model: LoadedModel, value: float) -> None:
    """An overflow approves nobody and declines nobody."""
    plan = dataclasses.replace(model.plan, start=value)
    found = decided(at(model, plan=plan))
    assert ("refer", "no-score", None) == (found.outcome, found.because, found.probability)
    assert ("refer", ()) == (found.outcome, found.reasons)
    assert probability(None) is None


def test_the_holdout_goes_to_the_former_procedure(model: LoadedModel) -> None:
    """It is referred without reasons; what the model said is recorded for the comparison."""
    found = decided(model, EVERYBODY)
    assert ("refer", "holdout", ()) == (found.outcome, found.because, found.reasons)
    assert margin(model).hex() == found.margin
    assert (1.0, EVERYBODY.draw("request-1")) == (found.holdout_share, found.draw)


def test_the_draw_is_replayable_and_keyed() -> None:
    """The same request draws the same; another key, another draw; about the share is chosen."""
    holdout = Holdout(share=0.1, key=b"one")
    draws = [holdout.draw(f"request-{number}") for number in range(4000)]
    assert draws == [Holdout(key=b"one").draw(f"request-{number}") for number in range(4000)]
    assert draws != [Holdout(key=b"two").draw(f"request-{number}") for number in range(4000)]
    assert all(0.0 <= draw < 1.0 for draw in draws)
    assert 0.08 < sum(draw < 0.1 for draw in draws) / 4000 < 0.12
    assert "one" not in repr(holdout)


def test_a_draw_of_the_share_itself_is_not_held_out(model: LoadedModel) -> None:
    """Draws below the share are: so a share of one takes all, and one of zero takes none."""
    draw = Holdout(key=b"key").draw("request-1")
    assert "score" == decided(model, Holdout(share=draw, key=b"key")).because
    above = Holdout(share=math.nextafter(draw, 1.0), key=b"key")
    assert "holdout" == decided(model, above).because


def test_a_holdout_without_a_key_is_refused() -> None:
    """Nobody may work out a request id that is held out, or one that is not."""
    with pytest.raises(BadRequest):
        Holdout(share=0.1)


def test_nobody_is_held_out_by_default(model: LoadedModel) -> None:
    """A share of zero chooses no request."""
    for number in range(50):
        found = decide(Standing(model), application(), str(number), NO)
        assert "score" == found.because


def test_a_challenger_is_recorded_and_decides_nothing(model: LoadedModel, tmp_path: Path) -> None:
    """With it or without, the decision is the same; its own outcome and margin stand beside."""
    other = at(loaded(tmp_path, "trees", "2"), decline_below=1e6, approve_from=1e6)
    alone = decided(at(model, decline_below=-1e6, approve_from=-1e6))
    both = decide(
        Standing(at(model, decline_below=-1e6, approve_from=-1e6), challenger=other),
        application(),
        "request-1",
        NO,
    )
    assert alone == msgspec.structs.replace(both, shadow=None)
    assert both.shadow is not None
    assert ("decline", other.name, margin(other).hex()) == (
        both.shadow.outcome,
        both.shadow.model,
        both.shadow.margin,
    )


def test_a_stop_stops_the_shadow_too(model: LoadedModel) -> None:
    """Nothing is scored while the switch is thrown."""
    found = decide(Standing(model, model, STOP), application(), "r", NO)
    assert found.shadow is None


def test_a_broken_challenger_keeps_nobody_waiting(model: LoadedModel) -> None:
    """Whatever it raises, the champion's decision is given, and the record shows no score."""
    broken = at(model, plan=None)
    found = decide(Standing(model, challenger=broken), application(), "request-1", NO)
    assert decided(model) == msgspec.structs.replace(found, shadow=None)
    assert found.shadow is not None
    assert (None, "no-score") == (found.shadow.margin, found.shadow.because)


def test_judging_is_the_same_alone(model: LoadedModel) -> None:
    """What a model makes of an application depends on nothing else."""
    admitted = model.admission.admit(application())
    assert judge(model, admitted) == judge(model, admitted)
