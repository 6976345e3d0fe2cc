"""The tree of errors."""

from pipelines.errors import (
    BadRequest,
    ClewError,
    DataRefused,
    Failure,
    GateRefused,
    Unavailable,
    by_exit_code,
    did_you_mean,
)


def test_message_names_what_where_observed_expected_next() -> None:
    """A message has every part that was given, each on its own line."""
    error = BadRequest(
        "no such step", where="dvc.yaml", observed="trian", expected="train", hint="clew flow"
    )
    expected = "no such step (dvc.yaml)\n  observed: trian\n  expected: train\n  next: clew flow"
    assert expected == str(error)


def test_exit_codes_are_those_of_the_handbook() -> None:
    """Each kind of error has the exit code that scripts and DAGs rely on."""
    expected = {
        "BadRequest": 2,
        "DataRefused": 3,
        "GateRefused": 4,
        "IntegrityBroken": 5,
        "Unavailable": 6,
        "NotThere": 7,
        "Erased": 8,
    }
    own = [kind for kind in ClewError.__subclasses__() if kind.__module__ == "pipelines.errors"]
    assert expected == {kind.__name__: kind.exit_code for kind in own}


def test_only_unavailable_is_tried_again() -> None:
    """Trying again helps only when something did not answer."""
    own = [kind for kind in ClewError.__subclasses__() if kind.__module__ == "pipelines.errors"]
    assert [Unavailable] == [kind for kind in own if kind.retryable]


def test_exit_code_leads_back_to_its_class() -> None:
    """A child's exit code becomes the same kind of error; an unknown one is a bug."""
    assert GateRefused is by_exit_code(4)
    assert ClewError is by_exit_code(137)


def test_a_kind_of_error_elsewhere_does_not_take_an_exit_code() -> None:
    """A module's own kind of error shares its parent's exit code and never stands for it."""

    class Special(ClewError):
        """An error that takes no context."""

        exit_code = GateRefused.exit_code

        def __init__(self) -> None:
            super().__init__("special")

    assert GateRefused is by_exit_code(Special.exit_code)


def test_refusal_of_data_shows_a_bounded_list_with_row_numbers() -> None:
    """Ten failures are shown, the rest counted, each with at most five row numbers."""
    failures = [Failure("out of range", f"c{n}", 9, tuple(range(9))) for n in range(12)]
    lines = str(DataRefused("rows refused", failures=failures)).splitlines()
    assert "  - c0: out of range: 9 (rows 0, 1, 2, 3, 4, …)" == lines[1]
    assert "  - and 2 more" == lines[-1]
    assert 12 == len(lines)


def test_did_you_mean_names_the_closest_or_nothing() -> None:
    """A near miss is named; nonsense is not guessed at."""
    assert "did you mean 'train'?" == did_you_mean("trian", ["train", "gate"])
    assert "" == did_you_mean("xyzzy", ["train", "gate"])
