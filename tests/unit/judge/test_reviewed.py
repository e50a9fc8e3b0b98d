"""What the judge once got wrong, as a reviewer found it."""

from __future__ import annotations

import random
import time

import pytest
import responses

from slipway.background import at_once
from slipway.clients.prometheus import PrometheusMetric
from slipway.judge import panel
from slipway.judge.limit import Limit
from slipway.judge.panel import Panel, State
from slipway.judge.power import power
from slipway.judge.verdict import Decision, Verdict, percent
from slipway.ports import Counts, Side, Sides
from slipway.release.measuring import Readings
from tests.unit.clients.prometheus_model import NOW, Model, http
from tests.unit.judge.hand import Delta, judge, one, reading, rule
from tests.unit.world import VirtualClock


def back(verdicts: list[Verdict]) -> str | None:
    """Return the sentence of the rollback, if there was one."""
    found = (v.sentence for v in verdicts if v.decision is Decision.ROLLBACK)
    return next(found, None)


# The rule "at least half are bad" has no part of alpha


@pytest.mark.parametrize("rate", [0.3, 0.4, 0.5])
def test_identical_code_is_rarely_taken_back_where_much_is_bad_on_both(rate: float) -> None:
    draw, rolled_back = random.Random(1), 0
    for _ in range(100):

        def bad(number: int) -> int:
            return sum(draw.random() < rate for _ in range(number))

        deltas: list[Delta] = [(10, bad(10), 190, bad(190)) for _ in range(30)]
        rolled_back += back(judge(one(), deltas)[1]) is not None
    assert rolled_back <= 5, f"{rolled_back} % of identical releases, alpha is 5 %"


def test_without_a_control_a_rate_that_is_tolerated_is_no_outage() -> None:
    """The hour before had 55 % slow ones: 1.15 times that is tolerated."""
    _, verdicts = judge(one(rule("slow", alone=0.65)), [(100, 55, 0, 0)] * 3)
    assert back(verdicts) is None


def test_a_limit_of_four_fifths_is_not_broken_by_one_half() -> None:
    limit = Limit(share=0.8, times=3, of=5, least=20)
    _, verdicts = judge(one(rule("slow", kind="limit", limit=limit)), [(100, 51, 1900, 931)] * 3)
    assert back(verdicts) is None


def test_a_provider_that_is_down_is_not_blamed_on_the_build_while_the_control_has_few_calls() -> (
    None
):
    """In the bake the control has the few: 2 calls a second of both, 1 in 20 of them on it."""
    judges = one(rule("slow-ai", hold_above=0.2), phases=(600.0, 600.0))
    state, _ = judge(judges, [(1, 0, 19, 1)] * 60)
    state = panel.begin(judges, state, 1, {})
    verdicts = []
    for seconds, delta in ((10, (19, 11, 0, 0)), (20, (19, 11, 1, 0)), (30, (19, 12, 1, 1))):
        state, verdict = panel.look(judges, state, seconds, {"slow-ai": reading(delta)})
        verdicts.append(verdict)
    assert back(verdicts) is None


# Nothing to compare with


def test_a_bake_that_is_bad_by_two_fifths_does_not_pass_because_the_control_is_idle() -> None:
    """The twentieth left on the build before asks nothing; the step at 5 % was 0.2 % bad."""
    judges = one(phases=(600.0, 600.0))
    state, _ = judge(judges, [(50, 0, 950, 2)] * 60)
    state = panel.begin(judges, state, 1, {})
    for look in range(1, 121):
        state, verdict = panel.look(judges, state, 10.0 * look, {"5xx": reading((1000, 400, 0, 0))})
    assert verdict.decision is not Decision.PROMOTE, verdict.sentence


def test_by_the_literal_rule_one_error_beside_an_idle_control_is_not_more_than_before() -> None:
    _, verdicts = judge(one(rule("5xx", kind="literal")), [(1000, 0, 0, 0)] * 5 + [(1000, 1, 0, 0)])
    assert back(verdicts) is None


# An incident that both share


OLD, NEW = "a" * 40, "b" * 40


@pytest.mark.parametrize("onset", [300, 303, 306, 309])
def test_an_incident_of_both_is_not_blamed_where_prometheus_scrapes_one_of_them_earlier(
    onset: int,
) -> None:
    """Prometheus spreads its targets over the interval: in one look a sample of the candidate is
    seconds newer than the control's, and both are taken for the same time."""
    interval = 15
    with responses.RequestsMock() as mock:
        model = Model()
        model.serve(mock)
        source = PrometheusMetric(
            http(),
            all_query='calls_total{build="{build}"}',
            other_query='slow_total{build="{build}"}',
            which="bad",
        )
        sides = Sides(
            candidate=Side(build=NEW, service="srv-canary"),
            control=Side(build=OLD, service="srv-stable"),
        )
        told = {NEW: [0.0, 0.0, 2.0], OLD: [0.0, 0.0, 38.0]}
        turn = {NEW: 0, OLD: 6}  # seconds into the interval
        judges = Panel(rules=(rule("slow-ai", hold_above=0.2, confirm=True),), starts=one().starts)
        state, readings, verdicts = panel.begin(judges, State(), 0, {}), None, []
        for second in range(420):
            model.now = NOW + second
            slow = 0.9 if second > onset else 0.01  # the provider, for both
            for build, one_side in told.items():
                one_side[0] += one_side[2]
                one_side[1] += one_side[2] * slow
                if second % interval == turn[build] % interval:
                    for name, value in (("calls_total", one_side[0]), ("slow_total", one_side[1])):
                        model.scrape(second, name, int(value), build=build, instance=build[:1])
            if second == 60:
                readings = Readings({"slow-ai": source}, sides, clock=VirtualClock(), start=at_once)
            if second > 60 and second % 10 == 0 and readings:
                state, verdict = panel.look(judges, state, second - 60.0, readings.read())
                verdicts.append(verdict)
    assert back(verdicts) is None


# Late, and expensive


@pytest.mark.parametrize(("total", "share"), [(1_000_000, 0.05), (1_000_000, 0.3)])
def test_what_could_have_been_seen_is_known_at_once(total: int, share: float) -> None:
    """Asked for at the end of each step, of every metric, and twice; nobody looks meanwhile."""
    control = total // 19
    began = time.perf_counter()
    power(
        Counts(total=total, bad=0),
        Counts(total=control, bad=int(control * share)),
        alpha=0.05,
        weight=0.2,
        tolerated=1.15,
        least=3,
        shift=1.0,
    )
    assert time.perf_counter() - began < 0.1


def test_a_small_share_is_said_in_digits() -> None:
    assert "e-" not in percent(3 / 50_000_000)
