"""The judge: given an error, which track had it?"""

from __future__ import annotations

from math import comb, fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway.judge.split import NOTHING, Decision, Rule, Window, judge, tail

from slipway.ports import Counts, EdgeCounts

RULE = Rule(ratio=1.15, alpha=0.05, looks=60, min_errors=3, min_requests=20)


def counts(requests: int, errors: int) -> Counts:
    return Counts(requests=requests, errors=errors)


@st.composite
def any_counts(draw: st.DrawFn) -> Counts:
    requests = draw(st.integers(0, 10_000))
    return counts(requests, draw(st.integers(0, requests)))


def test_many_more_errors_than_the_control_roll_back() -> None:
    verdict = judge(counts(100, 30), counts(2000, 20), RULE)
    assert verdict.decision is Decision.ROLLBACK
    assert "30 of 100" in verdict.sentence
    assert "20 of 2000" in verdict.sentence


def test_as_many_errors_as_the_control_are_promoted() -> None:
    assert judge(counts(100, 1), counts(2000, 20), RULE).decision is Decision.PROMOTE


def test_two_errors_are_never_enough_to_roll_back() -> None:
    assert judge(counts(20, 2), counts(2000, 0), RULE).decision is Decision.PROMOTE


def test_an_outage_rolls_back_before_there_are_many_requests() -> None:
    assert judge(counts(3, 3), counts(60, 0), RULE).decision is Decision.ROLLBACK


def test_too_few_requests_hold() -> None:
    assert judge(counts(19, 0), counts(2000, 0), RULE).decision is Decision.HOLD


@given(any_counts())
def test_without_a_control_only_an_outage_is_judged(candidate: Counts) -> None:
    outage = candidate.requests >= 20 and 2 * candidate.errors >= candidate.requests
    expected = Decision.ROLLBACK if outage else Decision.HOLD
    assert judge(candidate, NOTHING, RULE).decision is expected


@given(any_counts(), any_counts())
def test_a_rollback_always_means_a_rate_above_the_tolerated_one(a: Counts, b: Counts) -> None:
    if judge(a, b, RULE).decision is Decision.ROLLBACK:
        assert a.errors >= RULE.min_errors
        assert b.requests == 0 or a.errors * b.requests > b.errors * a.requests


@given(any_counts(), any_counts(), st.integers(1, 1000))
def test_more_errors_never_turn_a_rollback_into_anything_else(
    a: Counts, b: Counts, more: int
) -> None:
    worse = counts(a.requests + more, a.errors + more)
    if judge(a, b, RULE).decision is Decision.ROLLBACK:
        assert judge(worse, b, RULE).decision is Decision.ROLLBACK


def reading(epoch: str, stable: int, canary: int, errors: int = 0) -> EdgeCounts:
    return EdgeCounts(epoch=epoch, stable=counts(stable, 0), canary=counts(canary, errors))


def test_a_window_counts_only_since_it_began() -> None:
    window = Window(reading("a", 1000, 50, 7))
    assert window.add(reading("a", 1100, 55, 8)) == (counts(100, 0), counts(5, 1))


def test_a_restart_of_the_counters_loses_nothing_that_was_seen() -> None:
    window = Window(reading("a", 1000, 50))
    window.add(reading("a", 1100, 60))
    assert window.add(reading("b", 30, 2)) == (counts(130, 0), counts(12, 0))


def test_a_total_that_goes_back_is_a_restart_too() -> None:
    window = Window(reading("a", 1000, 50))
    assert window.add(reading("a", 10, 1)) == (counts(10, 0), counts(1, 0))


def fleet(*instances: EdgeCounts) -> EdgeCounts:
    stable = counts(sum(one.stable.requests for one in instances), 0)
    canary = counts(
        sum(one.canary.requests for one in instances), sum(one.canary.errors for one in instances)
    )
    epoch = "+".join(one.epoch for one in instances)
    return EdgeCounts(epoch=epoch, stable=stable, canary=canary, instances=instances)


def test_where_one_edge_restarts_the_past_of_the_other_is_not_counted_again() -> None:
    window = Window(fleet(reading("a", 5000, 400, 90), reading("b", 1000, 50)))
    window.add(fleet(reading("a", 5100, 405, 90), reading("b", 1100, 55)))
    restarted = fleet(reading("a", 5150, 407, 90), reading("c", 10, 1))
    assert window.add(restarted) == (counts(260, 0), counts(13, 0))


def test_an_edge_that_comes_brings_what_it_has_counted_since_and_one_that_goes_takes_nothing() -> (
    None
):
    window = Window(fleet(reading("a", 100, 5)))
    assert window.add(fleet(reading("a", 110, 6), reading("b", 7, 1))) == (
        counts(17, 0),
        counts(2, 0),
    )
    assert window.add(fleet(reading("b", 9, 1))) == (counts(19, 0), counts(2, 0))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.integers(0, 50)), max_size=30))
def test_a_window_never_goes_back(steps: list[tuple[bool, int, int]]) -> None:
    epoch = stable = canary = 0
    window = Window(reading("0", 0, 0))
    before = (NOTHING, NOTHING)
    for restart, more_stable, more_canary in steps:
        if restart:
            epoch, stable, canary = epoch + 1, 0, 0
        stable, canary = stable + more_stable, canary + more_canary
        now = window.add(reading(str(epoch), stable, canary))
        assert now[0].requests == before[0].requests + more_stable
        assert now[1].requests == before[1].requests + more_canary
        before = now


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_the_tail_is_the_sum_of_its_terms(hits: int, draws: int, p: float) -> None:
    terms = (comb(draws, k) * p**k * (1 - p) ** (draws - k) for k in range(hits, draws + 1))
    assert tail(hits, draws, p) == pytest.approx(fsum(terms), rel=1e-6, abs=1e-12)


def test_a_million_errors_are_judged_like_a_few() -> None:
    assert tail(60_000, 1_000_000, 0.0575) < 1e-20
    assert tail(57_000, 1_000_000, 0.0575) > 0.9
