"""Given an error, which side had it? What the sequential test promises."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.judge.evidence import RATIOS, Evidence, Starts
from slipway.ports import Counts
from tests.unit.judge.hand import counts

BEGUN = Evidence().start(1.0)


def see(evidence: Evidence, candidate: Counts, control: Counts) -> Evidence:
    return evidence.see(candidate, control, tolerated=1.15)


def test_without_errors_there_is_no_evidence() -> None:
    assert see(BEGUN, counts(500, 0), counts(9500, 0)).value == pytest.approx(1)


def test_errors_that_fall_as_the_requests_do_speak_for_the_candidate() -> None:
    seen = BEGUN
    for _ in range(50):
        seen = see(seen, counts(100, 1), counts(1900, 19))
    assert seen.value < 0.01


@pytest.mark.parametrize(("candidate", "control"), [((50, 4), (950, 1)), ((950, 150), (50, 0))])
def test_errors_that_fall_on_the_candidate_alone_are_evidence_in_canary_and_bake(
    candidate: tuple[int, int], control: tuple[int, int]
) -> None:
    assert see(BEGUN, counts(*candidate), counts(*control)).value > 20


def test_one_factor_is_the_likelihood_ratio_of_where_the_errors_fell() -> None:
    # One error of the candidate, none of the control, the same number of requests each.
    seen = BEGUN.see(counts(100, 1), counts(100, 0), tolerated=1.0)
    for ratio, total in zip(RATIOS, seen.sums, strict=True):
        assert total == pytest.approx((ratio / (1 + ratio)) / 0.5)


def test_what_is_tolerated_is_no_evidence_on_average() -> None:
    # At the tolerated ratio an error falls on the candidate with odds 1.15 · n1/n0: the evidence
    # expected after it is exactly what it was.
    odds = 1.15 * 50 / 950
    on_candidate = see(BEGUN, counts(50, 1), counts(950, 0)).value
    on_control = see(BEGUN, counts(50, 0), counts(950, 1)).value
    assert (odds * on_candidate + on_control) / (1 + odds) == pytest.approx(1)


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(1, 50),
)
def test_one_more_error_of_the_candidate_is_never_less_evidence(
    n1: int, n0: int, e1: int, e0: int, more: int
) -> None:
    fewer = see(BEGUN, counts(n1 + 300, e1), counts(n0 + 200, e0)).value
    assert see(BEGUN, counts(n1 + 300, e1 + more), counts(n0 + 200, e0)).value >= fewer


@given(st.integers(1, 10**7), st.integers(0, 10**6), st.integers(1, 10**7), st.integers(0, 10**6))
def test_evidence_stays_a_finite_number(n1: int, e1: int, n0: int, e0: int) -> None:
    seen = BEGUN
    for _ in range(5):
        seen = see(seen, counts(n1, min(e1, n1)), counts(n0, min(e0, n0)))
    assert math.isfinite(seen.value)
    assert seen.value >= 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_looks_at_which_one_side_had_no_request_are_put_together(
    looks: list[tuple[int, int]],
) -> None:
    apart = BEGUN
    for candidate, control in looks:
        apart = see(apart, counts(candidate, candidate), counts(control, 0))
    pending = apart.waiting
    total = sum(c for c, _ in looks)
    assert apart.bad + pending[0].bad == total, "no error of the candidate is lost"


@given(st.integers(0, 5000), st.integers(0, 500))
def test_what_the_control_had_while_the_candidate_had_nothing_tells_nothing(
    total: int, bad: int
) -> None:
    """A source that lags shows the control's past first: it must not count as the same time."""
    before = see(BEGUN, counts(0, 0), counts(total + bad, bad))
    both = (counts(12, 8), counts(200, 120))
    assert see(before, *both).value == see(BEGUN, *both).value


def test_more_looks_at_the_same_counts_change_nothing() -> None:
    once = see(BEGUN, counts(100, 3), counts(1900, 4))
    again = see(see(once, counts(0, 0), counts(0, 0)), counts(0, 0), counts(0, 0))
    assert again.value == once.value


def test_the_weight_of_all_starts_is_one() -> None:
    starts = Starts((600.0, 300.0, 45.0))
    given_out = [
        starts.begin(phase) + starts.between(phase, 0, planned)
        for phase, planned in enumerate(starts.phases)
    ]
    assert given_out == pytest.approx([1 / 3] * 3)


@given(st.lists(st.floats(0.1, 400), min_size=1, max_size=40))
def test_however_late_one_looks_every_start_gets_its_weight_once(pauses: list[float]) -> None:
    starts = Starts((600.0, 600.0))
    now = total = 0.0
    for pause in pauses:
        total += starts.between(0, now, now + pause)
        now += pause
    assert total == pytest.approx(starts.between(0, 0, now))
    assert total <= 0.5


def test_without_a_control_a_rate_far_above_the_tolerated_one_is_evidence() -> None:
    assert BEGUN.see_alone(counts(1000, 12), tolerated=0.0015).value > 20
    assert BEGUN.see_alone(counts(1000, 2), tolerated=0.0015).value < 5
    assert BEGUN.see_alone(counts(1000, 1000), tolerated=1.0).value == pytest.approx(1)


def test_without_a_control_the_tolerated_rate_is_no_evidence_on_average() -> None:
    tolerated = 0.01
    bad = BEGUN.see_alone(counts(1, 1), tolerated=tolerated).value
    good = BEGUN.see_alone(counts(1, 0), tolerated=tolerated).value
    assert tolerated * bad + (1 - tolerated) * good == pytest.approx(1)


def test_over_many_releases_of_identical_code_at_most_one_in_a_hundred_is_rolled_back() -> None:
    """20,000 of them, canary and bake, at 40 requests a second with 0.2 % errors."""
    draw = random.Random(20261124)
    starts = Starts((600.0, 600.0))
    fired = sum(_is_rolled_back(draw, starts, per_second=40, rate=0.002) for _ in range(20_000))
    assert fired <= 200


def _is_rolled_back(draw: random.Random, starts: Starts, *, per_second: int, rate: float) -> bool:
    seen = Evidence()
    for phase, share in enumerate((0.05, 0.95)):
        seen = seen.start(starts.begin(phase))
        mine = round(per_second * share * 10)
        others = per_second * 10 - mine
        for look in range(1, 61):
            seen = seen.start(starts.between(phase, 10 * look - 10, 10 * look))
            bad, bad_others = _poisson(draw, mine * rate), _poisson(draw, others * rate)
            if not (bad or bad_others):
                continue
            seen = see(seen, counts(mine, bad), counts(others, bad_others))
            if seen.value >= 20 and seen.bad >= 3:
                return True
    return False


def _poisson(draw: random.Random, mean: float) -> int:
    limit, number, product = math.exp(-mean), 0, draw.random()
    while product > limit:
        number += 1
        product *= draw.random()
    return number
