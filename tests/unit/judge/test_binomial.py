"""The binomial tail, and the bound of Clopper and Pearson."""

from __future__ import annotations

from math import comb, fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.judge.binomial import tail, upper_bound
from slipway.judge.calibration import LEAST, shift
from tests.unit.judge.hand import counts


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_the_tail_is_the_sum_of_its_terms(hits: int, draws: int, p: float) -> None:
    terms = (comb(draws, k) * p**k * (1 - p) ** (draws - k) for k in range(hits, draws + 1))
    assert tail(hits, draws, p) == pytest.approx(fsum(terms), rel=1e-6, abs=1e-12)


def test_the_binomial_tail_is_exact() -> None:
    assert tail(0, 10, 0.3) == 1
    assert tail(1, 1, 0.25) == pytest.approx(0.25)
    assert tail(2, 3, 0.5) == pytest.approx(0.5)
    assert tail(3, 3, 0.0575) == pytest.approx(0.0575**3)
    assert tail(5, 5, 1.0) == 1
    assert tail(1, 5, 0.0) == 0


@pytest.mark.parametrize(
    ("hits", "draws", "level", "bound"),
    # Clopper and Pearson: for no hits it is 1 - level ** (1/draws).
    [(0, 100, 0.05, 1 - 0.05 ** (1 / 100)), (0, 10, 0.01, 1 - 0.01**0.1), (10, 10, 0.05, 1.0)],
)
def test_the_bound_is_that_of_clopper_and_pearson(
    hits: int, draws: int, level: float, bound: float
) -> None:
    assert upper_bound(hits, draws, level) == pytest.approx(bound, abs=1e-9)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.001, 0.2))
def test_so_few_hits_would_be_as_rare_as_the_level_at_the_bound(
    hits: int, more: int, level: float
) -> None:
    draws = hits + more
    bound = upper_bound(hits, draws, level)
    assert 1 - tail(hits + 1, draws, bound) == pytest.approx(level, rel=1e-3)


TOLERATED = 1.15


def test_of_a_long_past_the_estimate_is_taken() -> None:
    found = shift(counts(50_000, 2000), counts(950_000, 19_000), 0.001, TOLERATED)
    assert found == pytest.approx(2.0, rel=0.001)


def test_a_cohort_that_fails_less_often_is_expected_to() -> None:
    found = shift(counts(500_000, 1000), counts(9_500_000, 95_000), 0.001, TOLERATED)
    assert found == pytest.approx(0.2, rel=0.01)


@given(st.integers(0, 60), st.integers(LEAST, 5000))
def test_with_identical_code_the_odds_are_at_most_what_is_tolerated(bad: int, others: int) -> None:
    """The true odds are above tolerated times the shift with a chance of 1 in 1,000 at most."""
    found = shift(counts(50_000, bad), counts(950_000, others), 0.001, TOLERATED)
    assert found is not None
    odds = TOLERATED * found * 50_000 / 950_000
    share = odds / (1 + odds)
    assert 1 - tail(bad + 1, bad + others, share) <= 0.001 + 1e-9


def test_the_more_is_known_the_smaller_the_allowance() -> None:
    little = shift(counts(10_000, 15), counts(190_000, 285), 0.005, TOLERATED)
    much = shift(counts(1_000_000, 1500), counts(19_000_000, 28_500), 0.005, TOLERATED)
    assert little is not None
    assert much is not None
    assert little > much
    assert much == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("bad", [0, 4])
def test_of_too_small_a_past_nothing_is_known(bad: int) -> None:
    assert shift(counts(5000, bad), counts(95_000, LEAST - bad - 1), 0.005, TOLERATED) is None
    assert shift(counts(0, 0), counts(95_000, 500), 0.005, TOLERATED) is None
