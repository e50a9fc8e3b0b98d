"""The rules beside the judge, on counts made by hand; and the judge as the bench has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.judge import cells, ours, peers
from bench.judge.cells import Batch
from bench.judge.draws import TICK, TICKS, Draws, Floats
from bench.judge.mann_whitney import high
from slipway.judge import panel
from slipway.judge.panel import State
from slipway.judge.verdict import Decision

NEVER = math.inf


def release(candidate: Sequence[int], control: Sequence[int], *, each: int = 100) -> Draws:
    """One release. Failures by minute, all in its first tick; ``each``: requests per tick."""

    def bad(minutes: Sequence[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        ticks = np.zeros((1, TICKS), dtype=np.int64)
        ticks[0, : 6 * len(minutes) : 6] = minutes
        return ticks

    total = np.full((1, TICKS), each)
    return Draws(
        candidate_total=total,
        candidate_bad=bad(candidate),
        control_total=19 * total,
        control_bad=bad(control),
    )


@pytest.mark.parametrize(
    ("candidate", "control", "when"),
    [
        ([1], [16], 60),  # 1/600 against 16/11400: 1.19 times as often
        ([1], [17], NEVER),  # 1.12 times
        ([0, 50], [1], NEVER),  # after the first minute nobody looks
        ([1], [0], 60),
        ([0], [0], NEVER),
    ],
)
def test_the_literal_rule_looks_once(candidate: list[int], control: list[int], when: float) -> None:
    assert peers.literal(release(candidate, control)) == [when]


@pytest.mark.parametrize(
    ("candidate", "control", "when"),
    [
        # Of 3/600 against 12/11400 p is .005, of 2/600 it is .055.
        ([3], [12], 60),
        ([2], [12], NEVER),
        ([1, 4], [12, 12], 120),
        ([0], [0], NEVER),
    ],
)
def test_the_z_test_looks_each_minute(
    candidate: list[int], control: list[int], when: float
) -> None:
    assert peers.z_test(release(candidate, control)) == [when]


@pytest.mark.parametrize(
    ("candidate", "when"),
    [
        ([7, 7, 7], 180),
        ([7, 0, 7, 0, 7], 300),
        ([7, 0, 7, 0, 0, 7], NEVER),  # three, but in six minutes
        ([6] * 10, NEVER),  # 1 % is not above 1 %
    ],
)
def test_the_threshold_wants_three_of_five_minutes(candidate: list[int], when: float) -> None:
    assert peers.m_of_n(release(candidate, [])) == [when]


def test_a_threshold_does_not_ask_what_the_control_does() -> None:
    assert peers.m_of_n(release([7, 7, 7], [1000, 1000, 1000])) == [180]


@pytest.mark.parametrize(
    ("candidate", "control", "is_high"),
    [
        # All of one above all of the other: the interval ends above 0.
        ([5.0, 6, 7, 8, 9], [1.0, 2, 1.5, 2.5, 3], True),
        ([1.0, 2, 1.5, 2.5, 3], [5.0, 6, 7, 8, 9], False),
        ([1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5], False),
        ([2.0] * 5, [1.0] * 5, True),  # nothing varies on either side
        ([1.0] * 5, [1.0] * 5, False),
        # Few failures are mostly ties at 0, which is where this test is blind.
        ([0.0, 0, 0, 0, 0, 0, 3.3, 0, 3.3, 3.3], [0.2, 0.1, 0.2, 0.2, 0, 0.3] + [0.2] * 4, False),
        # Above in most minutes, not in all: the interval reaches below 0.
        ([1.0, 2, 9, 8, 1.2], [1.1, 1.9, 2, 1.5, 1.3], False),
    ],
)
def test_kayentas_verdict(candidate: list[float], control: list[float], is_high: bool) -> None:
    assert high(np.array([candidate]), np.array([control])).tolist() == [is_high]


def test_kayentas_lower_limit_must_clear_a_quarter_of_its_estimate() -> None:
    # Right of the least difference, 2, the candidate wins in 24 of 25 pairs: z is
    # (11.5 - 0.5) / 4.787 = 2.30, below 2.326, so 2 is the lower limit. The estimate is 5: right of
    # it 11 pairs are won, fewer than half. All moved by d, these are 2 + d and 5 + d.
    candidate, control = np.array([[5.0, 6, 7, 8, 9]]), np.array([[1.0, 2, 1.5, 2.5, 3]])
    assert high(candidate - 0.9, control)[0]  # 1.1 > 4.1 / 4
    assert not high(candidate - 1.1, control)[0]  # 0.9 < 3.9 / 4


def test_kayenta_wants_the_mean_to_have_risen() -> None:
    candidate = np.array([[5.0, 6, 7, 8, 9, 5.5, 6.5, 7.5, 8.5, 9.5]])
    control = np.array([[1.0, 2, 1.5, 2.5, 3, 1.2, 1.7, 2.2, 2.7, 50]])
    assert high(candidate, control)[0]
    control[0, -1] = 100  # one bad minute, and the control's mean is above the candidate's
    assert not high(candidate, control)[0]


def test_kayenta_looks_each_minute_or_once() -> None:
    draws = release([12] * 10, [1, 2] * 5)
    assert peers.kayenta(draws) == [180]
    assert peers.kayenta_at_the_end(draws) == [600]
    good = release([1, 0] * 5, [19, 20] * 5)
    assert peers.kayenta(good) == peers.kayenta_at_the_end(good) == [NEVER]


def judged_by_panel(draws: Draws, limit: int) -> list[float]:
    """What the product's panel says of the first releases, tick by tick."""
    found = []
    for row, looks in zip(range(limit), ours.readings(draws), strict=False):
        shift = math.nan if draws.shifts is None else float(draws.shifts[row])
        judge = ours.PLAIN if math.isnan(shift) else ours.CALIBRATED
        (rule,) = judge.rules
        state = panel.begin(judge, State(), 0, {} if math.isnan(shift) else {rule.name: shift})
        when = NEVER
        for tick, seen in enumerate(looks, 1):
            state, verdict = panel.look(judge, state, float(TICK * tick), {rule.name: seen})
            if verdict.decision is Decision.ROLLBACK:
                when = float(TICK * tick)
                break
        found.append(when)
    return found


@pytest.mark.parametrize("rps", [10, 100, 1000])
@pytest.mark.parametrize(
    "conditions", [("identical",), ("immediate",), ("late",), ("sellers", "sellers-raw")]
)
def test_the_bench_judges_as_the_product_does(
    conditions: tuple[cells.Condition, ...], rps: int
) -> None:
    batch = Batch(conditions=conditions, rps=rps, number=0, runs=12)
    for cell, draws in cells.draw(batch, 12):
        assert ours.evidence(draws).tolist() == judged_by_panel(draws, 12), cell


def test_an_outage_is_seen_at_the_first_look() -> None:
    assert ours.evidence(release([50], [0], each=50)) == [10]
    # The build before fails often too.
    assert ours.evidence(release([10], [190], each=20)) == [NEVER]


def test_fewer_than_three_failures_take_nothing_back() -> None:
    # The candidate has a request in a thousand: that both failures are its own is no chance.
    crowd = release([], [], each=10_000).control_total
    two, three = (replace(release([bad], []), control_total=crowd) for bad in (2, 3))
    assert ours.evidence(two) == [NEVER]
    assert ours.evidence(three) == [10]


@pytest.mark.parametrize("rule", peers.PEERS.values())
def test_a_release_without_failures_is_left_alone(rule: Callable[[Draws], Floats]) -> None:
    for draws in (release([], []), release([], [], each=0)):
        assert rule(draws) == ours.evidence(draws) == [NEVER]
