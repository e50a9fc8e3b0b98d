"""The arithmetic of the bench."""

from __future__ import annotations

import pytest

from bench.figures import Figure, differences, median, percentile, ratios


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(v) for v in range(100, 0, -1)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile(values, 100) == 100
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_ratios_pair_each_round_with_its_own() -> None:
    # Round two ran on a machine half as fast: no ratio shows it.
    found = ratios([50.0, 25.0, 60.0], [100.0, 50.0, 100.0])
    assert found == [0.5, 0.5, 0.6]
    assert median("r", "", found, goal=0.45, better="higher").value == 0.5


@pytest.mark.parametrize(("above", "below"), [([1.0], [1.0, 2.0]), ([], []), ([1.0], [0.0])])
def test_what_does_not_pair_up_is_no_ratio(above: list[float], below: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pairs|nothing was measured"):
        ratios(above, below)


def test_differences_are_of_the_same_round() -> None:
    assert differences([3.0, 30.0], [1.0, 10.0]) == [2.0, 20.0]
    with pytest.raises(ValueError, match="pairs"):
        differences([1.0], [])


@pytest.mark.parametrize(
    ("better", "value", "holds"),
    [("lower", 1.0, True), ("lower", 1.1, False), ("higher", 1.0, True), ("higher", 0.9, False)],
)
def test_a_goal_is_met_at_its_edge(better: str, value: float, holds: bool) -> None:
    figure = Figure(name="f", value=value, unit="s", goal=1, better=better)  # type: ignore[arg-type]
    assert figure.holds is holds
    assert figure.as_json()["holds"] is holds


def test_without_a_goal_nothing_is_claimed() -> None:
    said = Figure(name="f", value=1, unit="s", samples=(1.0,)).as_json()
    assert said["holds"] is None
    assert set(said) >= {"name", "value", "unit", "goal", "holds", "samples"}
