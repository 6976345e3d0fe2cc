"""The step `champion`: what the registry answers, pinned; and what makes it an alarm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.canonical import sha256_tree
from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.layout import State
from pipelines.records import Champion
from pipelines.release import champion, promote
from pipelines.release.version_files import VersionFiles
from tests import registries
from tests.release.versions import Bench


def promoted(bench: Bench, recipe: str) -> str:
    """Judge, register, approve and promote a candidate; return its version."""
    version = bench.registered(recipe)
    given = bench.approved(version)
    promote.run(
        bench.context, version=version.version, person="Ada", reason="better", approval=given.id
    )
    return version.version


def test_a_registry_that_answers_none_is_recorded_as_none(quick: Bench) -> None:
    """With no champion the folder holds the record of that answer and nothing else."""
    assert Champion(state="none", model_name="applicants") == champion.run(quick.context)
    assert ["champion.json"] == [path.name for path in quick.layout.champion.iterdir()]


def test_a_registry_that_does_not_answer_leaves_no_record(quick: Bench) -> None:
    """An unreachable registry raises, and no former answer stays behind to be taken for one."""
    champion.run(quick.context)
    uri = f"http://127.0.0.1:{registries.free_port()}"
    away = registries.MlflowRegistry(uri, "applicants", State(quick.layout.root))
    with pytest.raises(Unavailable):
        champion.run(replace(quick.context, registry=lambda _: away))
    assert not quick.layout.champion_record.exists()


def test_the_champion_is_pinned_with_its_files(bench: Bench) -> None:
    """The champion's record, model, environment and profile stand beside its answer."""
    version = promoted(bench, "one")
    found = champion.run(bench.context)
    assert ("version", version) == (found.state, found.version)
    files = VersionFiles(bench.layout.champion)
    for path in (files.record, files.model, files.environment, files.profile):
        assert path.is_file()
    assert files.profile == bench.layout.champion_profile


def test_an_unchanged_champion_gives_the_same_bytes(bench: Bench) -> None:
    """Asked again, the step writes the same folder, so nothing downstream runs again."""
    promoted(bench, "one")
    champion.run(bench.context)
    before = sha256_tree(bench.layout.champion)
    champion.run(bench.context)
    assert before == sha256_tree(bench.layout.champion)


@pytest.mark.parametrize("alias", ["champion", "previous"])
def test_an_alias_moved_by_hand_is_an_alarm(quick: Bench, alias: str) -> None:
    """An alias that is not where the trail left it names both versions and what mends it."""
    promoted(quick, "one")
    other = quick.registered("two").version
    quick.registry.point(alias, other)
    with pytest.raises(IntegrityBroken) as caught:
        champion.run(quick.context)
    assert f"version {other}" in str(caught.value)
    assert "clew promote" in caught.value.hint
    assert "clew undo" in caught.value.hint


def test_an_alias_set_by_hand_where_nothing_was_promoted_is_an_alarm(quick: Bench) -> None:
    """A champion that no promotion made is not believed."""
    quick.registry.point("champion", quick.registered("one").version)
    with pytest.raises(IntegrityBroken):
        champion.run(quick.context)


def test_an_alias_taken_away_by_hand_is_an_alarm(quick: Bench) -> None:
    """A champion whose alias is gone is not read as: no champion yet."""
    promoted(quick, "one")
    quick.registry.point("champion", None)
    with pytest.raises(IntegrityBroken):
        champion.run(quick.context)


@pytest.mark.parametrize(
    "name", ["candidate.json", "model.skops", "environment.json", "profile.json", "verdict.json"]
)
def test_a_changed_file_of_the_champion_is_an_alarm(
    quick: Bench, tmp_path: Path, name: str
) -> None:
    """Each file of a version is covered by the digest in its record."""
    version = promoted(quick, "one")
    changed = [path for path in tmp_path.rglob(name) if _stored(path, tmp_path, version)]
    assert 1 == len(changed)
    changed[0].write_bytes(changed[0].read_bytes() + b" ")
    with pytest.raises(IntegrityBroken, match="is not what its record says"):
        champion.run(quick.context)
    assert not quick.layout.champion_record.exists()


def _stored(path: Path, tmp_path: Path, version: str) -> bool:
    inside = path.relative_to(tmp_path).parts
    return (inside[0] == "home" and "models" in inside) or inside[:2] == ("memory", version)


def test_a_promotion_that_was_killed_before_the_aliases_is_carried_out(bench: Bench) -> None:
    """A promotion in the trail whose aliases were not set is finished by whoever comes next."""
    version = bench.registered("one")
    decided = registries.promotion(
        "applicants", version=version.version, verdict_id=version.verdict_id
    )
    bench.registry.append(decided)
    assert version.version == champion.run(bench.context).version
    assert {"champion": version.version} == bench.registry.aliases()
    assert bench.registry.settled(decided)


def test_a_third_version_under_a_half_done_promotion_is_an_alarm(quick: Bench) -> None:
    """Half-way the alias names the old or the new champion; another was put there by hand."""
    first = quick.registered("one")
    other = quick.registered("two")
    quick.registry.append(
        registries.promotion("applicants", version=first.version, verdict_id=first.verdict_id)
    )
    quick.registry.point("champion", other.version)
    with pytest.raises(IntegrityBroken):
        champion.run(quick.context)


def test_a_slow_process_does_not_leave_its_alias_after_a_later_promotion(quick: Bench) -> None:
    """Whoever sets aliases looks at the trail again, and follows what came in between."""
    first, second = quick.registered("one"), quick.registered("two")
    one = registries.promotion("applicants", version=first.version)
    two = registries.promotion(
        "applicants",
        number=2,
        former_id=one.id,
        version=second.version,
        former_version=first.version,
    )
    quick.registry.append(one)
    former = quick.registry.point
    calls: list[str] = []

    def overtaken(alias: str, version: str | None) -> None:
        if not calls:
            quick.registry.append(two)
            quick.registry.settle(two)
        calls.append(alias)
        former(alias, version)

    quick.registry.point = overtaken  # type: ignore[method-assign]
    champion.settle(quick.registry)
    assert {"champion": second.version, "previous": first.version} == quick.registry.aliases()
