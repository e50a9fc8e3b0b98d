"""The edge as a source of counts: root errors, slow answers, and what everybody shares."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.background import Task, at_once
from slipway.config import Judge, Metric
from slipway.ports import EdgeCounts, Side, Sides, TrackCounts
from slipway.release.edge_metric import EdgeMetric, EdgeReadings
from slipway.release.measuring import ERRORS, LATE, Readings, rules_of
from tests.unit.judge.hand import counts
from tests.unit.world import VirtualClock, World
from tests.unit.world_metrics import Ai

SIDES = Sides(candidate=Side(build="b", service="srv-c"), control=Side(build="a", service="srv-s"))


def track(requests: int, errors: int, roots: int | None = None) -> TrackCounts:
    found = errors if roots is None else roots
    return TrackCounts(requests=requests, errors=errors, root_errors=found, latency=(requests,))


class Edge:
    """An edge whose counters are set by hand."""

    def __init__(self) -> None:
        self.stable, self.canary = track(0, 0), track(0, 0)
        self.missing: tuple[str, ...] = ()

    def counts(self) -> EdgeCounts:
        return EdgeCounts(epoch="e", stable=self.stable, canary=self.canary, missing=self.missing)


def counting() -> tuple[Edge, VirtualClock, Readings]:
    edge, clock = Edge(), VirtualClock()
    metric = EdgeMetric(EdgeReadings(edge, clock))  # type: ignore[arg-type]
    return edge, clock, Readings({ERRORS: metric}, SIDES, clock=clock, start=at_once)


def test_retries_of_a_seller_are_one_error() -> None:
    edge, clock, readings = counting()
    edge.stable, edge.canary = track(950, 9, roots=3), track(50, 30, roots=4)
    clock.t += 10
    found = readings.read()[ERRORS]
    assert (found.candidate, found.control) == (counts(50, 4), counts(950, 3))


@pytest.mark.parametrize(("failed", "left_out"), [(189, False), (190, True)])
def test_what_is_counted_while_a_fifth_of_the_control_fails_is_left_out_for_good(
    failed: int, left_out: bool
) -> None:
    edge, clock, readings = counting()
    edge.stable, edge.canary = track(950, failed, roots=40), track(50, 40, roots=9)
    clock.t += 10
    during = readings.read()[ERRORS]
    assert bool(during.hold) == left_out
    edge.stable, edge.canary = track(1900, failed, roots=40), track(100, 40, roots=9)
    clock.t += 10
    after = readings.read()[ERRORS]
    assert after.hold == ""
    assert after.candidate == counts(50, 0), "what came during it does not come later"


def test_three_metrics_share_what_one_would_have() -> None:
    told = {"source": "prometheus", "all": 'a{build="{build}"}', "bad": 'b{build="{build}"}'}
    metrics = {name: Metric.model_validate(told) for name in ("slow", "late")}
    rules = rules_of(Judge(), metrics, (ERRORS, "slow", "late"))
    assert [rule.alpha for rule in rules] == pytest.approx([0.05 / 3] * 3)


def test_a_metric_with_a_limit_takes_no_part_of_it() -> None:
    told = {"source": "prometheus", "all": 'a{build="{build}"}', "bad": 'b{build="{build}"}'}
    limited = Metric.model_validate({**told, "limit": {"percent": 20}})
    rules = rules_of(Judge(), {"slow": limited}, (ERRORS, "slow"))
    assert rules[0].alpha == pytest.approx(0.05)


def test_only_what_is_not_counted_at_one_instant_has_to_be_confirmed() -> None:
    told = {"source": "prometheus", "all": 'a{build="{build}"}', "bad": 'b{build="{build}"}'}
    rules = rules_of(Judge(), {"slow": Metric.model_validate(told)}, (ERRORS, "slow"))
    assert [rule.confirm for rule in rules] == [False, True]


class Hanging:
    """Something under way that never ends."""

    def done(self) -> bool:
        return False

    def wait(self, seconds: float) -> None:
        del seconds


def test_a_source_that_does_not_answer_any_more_holds_after_half_a_minute() -> None:
    clock, world = VirtualClock(), World()
    hangs = False

    def start(function: Callable[[], None]) -> Task:
        return Hanging() if hangs else at_once(function)

    readings = Readings({"slow-ai": Ai(world)}, SIDES, clock=clock, start=start)
    assert readings.read()["slow-ai"].hold == ""
    hangs = True
    assert readings.read()["slow-ai"].hold == "", "it may still answer in time"
    clock.t += LATE
    assert readings.read()["slow-ai"].hold == "no counts: no answer for 30 s"
