"""Is a service worse than it was an hour ago? Exact bounds, and few good builds taken back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway.judge.rate import judge, upper_bound
from slipway.judge.split import Decision, Rule, tail

from slipway.ports import Requests

RULE = Rule(ratio=1.15, alpha=0.05, looks=9, min_errors=3, min_requests=0)


def counted(errors: float, total: float) -> Requests:
    return Requests(total=total, errors=errors)


@pytest.mark.parametrize(
    ("hits", "draws", "bound"),
    [
        # 1 - 0.05 ** (1 / n), the closed form without a hit; the "rule of three".
        (0, 10, 0.25887),
        (0, 1000, 0.0029912),
        # R: binom.test(k, n, alternative = "less")$conf.int[2]
        (1, 10, 0.39416),
        (5, 100, 0.10225),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_the_bound_is_that_of_clopper_and_pearson(hits: int, draws: int, bound: float) -> None:
    assert upper_bound(hits, draws) == pytest.approx(bound, rel=1e-4)


@given(st.integers(1, 3000), st.data())
def test_the_bound_leaves_five_percent(draws: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, draws - 1))
    bound = upper_bound(hits, draws)
    assert hits / draws < bound <= 1
    assert 1 - tail(hits + 1, draws, bound) == pytest.approx(0.05, rel=1e-6)


def test_a_service_that_fails_three_times_as_often_goes_back_with_its_numbers() -> None:
    verdict = judge(counted(60, 2000), counted(600, 60_000), RULE)
    assert verdict.decision is Decision.ROLLBACK
    assert "Render counted 2,000 requests, 60 of them 5xx, 3 %" in verdict.sentence
    assert "1 % in the hour before" in verdict.sentence


def test_as_many_errors_go_back_as_are_too_unlikely_at_the_tolerated_rate() -> None:
    requests, before = 2000, counted(600, 60_000)
    tolerated = 1.15 * upper_bound(600, 60_000)
    enough = next(n for n in range(requests) if tail(n, requests, tolerated) <= 0.05 / 9)
    assert enough == 39
    verdicts = [judge(counted(n, requests), before, RULE).decision for n in (enough - 1, enough)]
    assert verdicts == [Decision.HOLD, Decision.ROLLBACK]


@pytest.mark.parametrize(
    ("since", "before"),
    [
        (counted(20, 2000), counted(600, 60_000)),  # as before
        (counted(2, 2), counted(0, 60_000)),  # fewer errors than are judged
        (counted(400, 1000), None),  # nothing to compare with
        (counted(400, 1000), counted(0, 0)),
        (counted(500, 1000), counted(600, 1000)),  # it was as bad before
        (counted(0, 0), counted(0, 1000)),
        (counted(3, 200), counted(0, 200)),  # too little is known of the time before
    ],
)
def test_what_is_no_worse_or_not_known_stays(since: Requests, before: Requests | None) -> None:
    assert judge(since, before, RULE).decision is Decision.HOLD


def test_values_that_are_rates_and_not_counts_take_nothing_back_that_counts_would_not() -> None:
    """Requests per second in the place of requests: the same ratios, smaller numbers."""
    for errors in range(0, 200, 5):
        by_counts = judge(counted(errors, 2000), counted(600, 60_000), RULE).decision
        by_rates = judge(counted(errors / 30, 2000 / 30), counted(600 / 30, 2000), RULE).decision
        assert by_counts is Decision.ROLLBACK or by_rates is Decision.HOLD


@pytest.mark.parametrize("rate", [0.002, 0.03])
def test_identical_code_is_taken_back_in_fewer_than_alpha_of_the_watches(rate: float) -> None:
    dice = random.Random(7)
    back = 0
    for _ in range(300):
        before = counted(sum(dice.random() < rate for _ in range(4000)), 4000)
        seen = 0
        for look in range(1, RULE.looks + 1):
            seen += sum(dice.random() < rate for _ in range(150))
            if judge(counted(seen, 150 * look), before, RULE).decision is Decision.ROLLBACK:
                back += 1
                break
    assert back / 300 <= RULE.alpha


@pytest.mark.parametrize("before", [None, Requests(total=0, errors=0)])
def test_an_outage_is_found_after_a_quiet_night_too(before: Requests | None) -> None:
    assert judge(Requests(total=5000, errors=5000), before, RULE).decision is Decision.ROLLBACK
    assert judge(Requests(total=20, errors=10), before, RULE).decision is Decision.ROLLBACK
    assert judge(Requests(total=19, errors=19), before, RULE).decision is Decision.HOLD
    assert judge(Requests(total=5000, errors=2000), before, RULE).decision is Decision.HOLD


def test_an_outage_that_was_there_before_is_not_the_builds() -> None:
    before = Requests(total=5000, errors=4000)
    assert judge(Requests(total=500, errors=400), before, RULE).decision is Decision.HOLD
