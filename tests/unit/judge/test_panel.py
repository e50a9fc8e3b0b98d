"""One metric, or several: what a look decides, and with which words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.judge import lines, panel
from slipway.judge.limit import Limit
from slipway.judge.metric import Reading
from slipway.judge.panel import Panel, State
from slipway.judge.verdict import Decision, Verdict
from tests.unit.judge.hand import Delta, counts, judge, nothing, one, reading, rule

GOOD: Delta = (50, 0, 950, 2)
BAD: Delta = (50, 4, 950, 2)


def decisions(judges: Panel, deltas: list[Delta]) -> list[Decision]:
    return [verdict.decision for verdict in judge(judges, deltas)[1]]


def test_many_more_errors_than_on_the_build_before_are_rolled_back_with_the_numbers() -> None:
    verdict = judge(one(), [BAD, BAD])[1][-1]
    assert verdict.decision is Decision.ROLLBACK
    assert "5xx: candidate 8 of 100 (8 %), build before 4 of 1,900 (0.21 %)" in verdict.sentence
    assert "more than 1.15 times as often as the build before" in verdict.sentence
    assert "in fewer than 1 of 20 releases (evidence" in verdict.sentence


def test_two_errors_roll_nothing_back_however_unlikely_they_are() -> None:
    assert decisions(one(), [(5, 2, 95, 0)]) == [Decision.PROMOTE]
    assert decisions(one(), [(5, 3, 95, 0)]) == [Decision.ROLLBACK]


def test_evidence_from_the_canary_counts_on_in_the_bake() -> None:
    judges = one(phases=(60.0, 60.0))
    little: list[Delta] = [(100, 2, 1900, 2)]
    state, verdicts = judge(judges, little)
    assert verdicts[-1].decision is Decision.PROMOTE
    state = panel.begin(judges, state, 1, {})
    seen, _ = panel.look(judges, state, 10, {"5xx": reading((1900, 40, 100, 0))})
    fresh = panel.begin(judges, panel.begin(judges, State(), 0, {}), 1, {})
    anew, _ = panel.look(judges, fresh, 10, {"5xx": reading((1900, 40, 100, 0))})
    assert seen.metrics["5xx"].evidence.value > anew.metrics["5xx"].evidence.value


def test_an_incident_of_both_builds_rolls_nothing_back() -> None:
    assert set(decisions(one(), [(50, 15, 950, 285)] * 30)) == {Decision.PROMOTE}


@pytest.mark.parametrize("control", [0, 1, 5])
def test_an_outage_needs_no_comparison(control: int) -> None:
    assert decisions(one(), [(1000, 1000, control, 0)]) == [Decision.ROLLBACK]


@pytest.mark.parametrize(("candidate", "control"), [((19, 19), (0, 0)), ((20, 9), (0, 0))])
def test_what_is_no_outage_waits_for_a_control(
    candidate: tuple[int, int], control: tuple[int, int]
) -> None:
    assert decisions(one(), [(*candidate, *control)]) == [Decision.HOLD]


def test_an_outage_of_both_is_not_the_candidates() -> None:
    assert decisions(one(), [(20, 20, 400, 400)]) == [Decision.PROMOTE]


def test_sellers_who_fail_more_often_by_themselves_get_an_allowance() -> None:
    deltas: list[Delta] = [(50, 1, 950, 4)] * 12
    assert judge(one(), deltas)[1][-1].decision is Decision.ROLLBACK
    assert judge(one(), deltas, shift=4.0)[1][-1].decision is Decision.PROMOTE


def test_a_metric_that_cannot_be_read_holds_and_what_came_meanwhile_is_not_lost() -> None:
    judges = one()
    gone = {"5xx": Reading(hold="no answer from Prometheus")}
    state, verdicts = judge(judges, [{"5xx": reading(GOOD)}, gone])
    assert verdicts[-1].decision is Decision.HOLD
    assert "5xx: no answer from Prometheus" in verdicts[-1].sentence
    _, verdict = panel.look(judges, state, 30, {"5xx": reading((100, 9, 1900, 4))})
    assert verdict.decision is Decision.ROLLBACK


def test_one_bad_metric_is_enough_and_one_that_holds_does_not_hide_it() -> None:
    judges = one(rule("5xx"), rule("slow-ai"))
    both = {"5xx": Reading(hold="the edge is silent"), "slow-ai": reading((50, 8, 950, 1))}
    _, verdict = panel.look(judges, panel.begin(judges, State(), 0, {}), 10, both)
    assert (verdict.decision, verdict.metric) == (Decision.ROLLBACK, "slow-ai")


def test_where_the_build_before_is_slow_too_nobody_is_blamed() -> None:
    judges = one(rule("slow-ai", hold_above=0.2))
    slow: list[Delta] = [(20, 20, 380, 190)] * 3
    _, verdicts = judge(judges, slow)
    assert {verdict.decision for verdict in verdicts} == {Decision.HOLD}
    assert "build before has 50 % bad ones too" in verdicts[-1].sentence
    recovered: list[Delta] = [(20, 0, 380, 0)] * 6
    assert judge(judges, slow + recovered)[1][-1].decision is Decision.PROMOTE


def test_what_happened_while_nobody_was_blamed_is_not_held_against_the_candidate_later() -> None:
    judges = one(rule("slow-ai", hold_above=0.2))
    state, _ = judge(judges, [(20, 20, 380, 190)] * 3)
    assert state.metrics["slow-ai"].evidence.bad == 0


def test_a_candidate_that_exports_nothing_holds_once_the_build_before_had_enough() -> None:
    judges = one(rule("slow-ai"))
    assert decisions(judges, [(0, 0, 199, 0)]) == [Decision.PROMOTE]
    assert decisions(judges, [(0, 0, 200, 0)]) == [Decision.HOLD]


LIMIT = Limit(share=0.2, times=2, of=3, least=20)


@pytest.mark.parametrize(
    ("bad", "decided"),
    [((0, 0, 0), False), ((9, 0, 9), True), ((9, 9, 0), True), ((9, 0, 0), False)],
)
def test_a_limit_is_breached_by_m_of_n_looks(bad: tuple[int, ...], decided: bool) -> None:
    judges = one(rule("slow", kind="limit", limit=LIMIT))
    deltas: list[Delta] = [(20, number, 380, 0) for number in bad]
    verdict = judge(judges, deltas)[1][-1]
    assert (verdict.decision is Decision.ROLLBACK) == decided
    if decided:
        assert "above 20 % in 2 of 3 looks" in verdict.sentence


def test_small_looks_are_put_together_until_a_limit_means_something() -> None:
    judges = one(rule("slow", kind="limit", limit=LIMIT))
    few: list[Delta] = [(5, 2, 95, 0)] * 4
    state, _ = judge(judges, few)
    assert state.metrics["slow"].looks.above == (True,)


# The rule of the plan, exactly as it is written


def literal(**changed: object) -> Panel:
    return one(rule("5xx", kind="literal", **changed))


def test_the_literal_rule_looks_once_at_the_end_of_the_first_minute() -> None:
    worse: list[Delta] = [(50, 1, 950, 2)] * 12
    found = decisions(literal(), worse)
    assert found[:5] == [Decision.PROMOTE] * 5
    assert found[5] is Decision.ROLLBACK
    good_first: list[Delta] = [(50, 0, 950, 2)] * 6
    assert set(decisions(literal(), good_first + worse)) == {Decision.PROMOTE}


@pytest.mark.parametrize(("bad", "back"), [(114, False), (115, False), (116, True)])
def test_the_literal_rule_is_more_than_fifteen_percent(bad: int, back: bool) -> None:
    found = decisions(literal(), [(1000, bad, 1000, 100)] * 6)
    assert (Decision.ROLLBACK in found) == back


def test_one_error_is_enough_for_the_literal_rule_where_the_control_has_none() -> None:
    assert Decision.ROLLBACK in decisions(literal(), [(5, 0, 95, 0)] * 5 + [(5, 1, 95, 0)])


def test_in_a_step_shorter_than_a_minute_the_literal_rule_looks_at_its_end() -> None:
    judges = one(rule("5xx", kind="literal"), phases=(20.0,))
    assert decisions(judges, [(50, 1, 950, 2)] * 2)[-1] is Decision.ROLLBACK


def test_the_literal_rule_without_a_control_compares_with_what_was_before() -> None:
    judges = literal(alone=0.0023)
    assert Decision.ROLLBACK in decisions(judges, [(100, 1, 0, 0)] * 6)
    assert Decision.ROLLBACK not in decisions(judges, [(1000, 2, 0, 0)] * 6)


# Without a control


def test_without_a_control_the_rate_before_is_what_is_tolerated() -> None:
    judges = one(rule("5xx", alone=0.002))
    verdict = judge(judges, [(500, 8, 0, 0)] * 3)[1][-1]
    assert verdict.decision is Decision.ROLLBACK
    assert "more than the 0.2 % that are tolerated" in verdict.sentence
    assert set(decisions(judges, [(500, 1, 0, 0)] * 20)) == {Decision.PROMOTE}


def test_where_nothing_is_known_of_the_time_before_only_an_outage_goes_back() -> None:
    judges = one(rule("5xx", alone=1.0))
    assert decisions(judges, [(100, 49, 0, 0)]) == [Decision.PROMOTE]
    assert decisions(judges, [(100, 50, 0, 0)]) == [Decision.ROLLBACK]


# The state


RULES = (
    rule("5xx", alpha=0.02),
    rule("slow-ai", alpha=0.02, hold_above=0.3),
    rule("slow", kind="limit", limit=LIMIT),
)
deltas = st.tuples(
    st.integers(0, 60), st.integers(0, 3), st.integers(0, 600), st.integers(0, 12)
).map(lambda d: (max(d[0], d[1]), d[1], max(d[2], d[3]), d[3]))
looks = st.lists(
    st.fixed_dictionaries(
        {r.name: st.one_of(deltas.map(reading), st.just(Reading(hold="silent"))) for r in RULES}
    ),
    max_size=25,
)


@given(looks, st.data())
def test_stopped_and_taken_up_again_anywhere_the_verdicts_are_those_of_the_whole(
    played: list[dict[str, Reading]], data: st.DataObject
) -> None:
    judges = one(*RULES, phases=(120.0, 60.0))
    turn = data.draw(st.integers(0, len(played)))
    stops = data.draw(st.sets(st.integers(0, len(played))))
    pauses = data.draw(st.lists(st.floats(0, 90), min_size=len(played), max_size=len(played)))

    def run(*, stopping: bool) -> list[tuple[Decision, str]]:
        state = panel.begin(judges, State(), 0, {"5xx": 1.3})
        told, seconds = [], 0.0
        for number, readings in enumerate(played):
            if number == turn:
                state, seconds = panel.begin(judges, state, 1, {}), 0.0
            if stopping and number in stops:
                wire = json.dumps(lines.look_line(judges, state, readings, verdict_of(), "now"))
                state = lines.state_of(json.loads(wire)["state"])
            seconds += 10 + pauses[number]
            state, verdict = panel.look(judges, state, seconds, readings)
            told.append((verdict.decision, verdict.sentence))
        return told

    assert run(stopping=True) == run(stopping=False)


def verdict_of() -> Verdict:
    return Verdict(decision=Decision.PROMOTE, sentence="")


@given(looks)
def test_looks_that_see_nothing_new_change_no_verdict(played: list[dict[str, Reading]]) -> None:
    judges = one(*RULES, phases=(6000.0,))
    idle = {r.name: nothing() for r in RULES}

    def run(*, often: bool) -> list[Decision]:
        state, told = panel.begin(judges, State(), 0, {}), []
        for number, readings in enumerate(played):
            state, verdict = panel.look(judges, state, number, readings)
            told.append(verdict.decision)
            if often and not any(r.hold for r in readings.values()):
                before = state.metrics["5xx"].evidence.value
                state, _ = panel.look(judges, state, number, idle)
                assert state.metrics["5xx"].evidence.value == before
        return told

    seen = [r for r in run(often=True) if r is Decision.ROLLBACK]
    assert seen == [r for r in run(often=False) if r is Decision.ROLLBACK]


def test_the_state_of_three_metrics_is_small() -> None:
    judges = one(*RULES)
    state = panel.begin(judges, State(), 0, {})
    for number in range(200):
        state, verdict = panel.look(
            judges, state, number, {r.name: reading((61, 2, 1171, 13)) for r in RULES}
        )
    told = lines.look_line(judges, state, {}, verdict, "now")["state"]
    assert len(json.dumps(told)) < 4096


# What could have been seen


def test_a_step_says_from_which_rate_on_it_would_have_seen_a_regression() -> None:
    judges = one()
    state, _ = judge(judges, [(50, 0, 950, 2)] * 60)
    could = panel.could_see(judges, state)["5xx"]
    assert 0.005 < could.rate < 0.02
    assert could.ratio == pytest.approx(could.rate / (120 / 57_000))
    said = could.sentence("requests")
    assert said.startswith("3,000 requests reached the candidate: a fault in fewer than 0.")
    assert said.endswith("times the build before) could not have been seen reliably")


def test_more_requests_see_more() -> None:
    rates = []
    for looks_made in (2, 20, 60):
        state, _ = judge(one(), [(50, 0, 950, 2)] * looks_made)
        rates.append(panel.could_see(one(), state)["5xx"].rate)
    assert rates == sorted(rates, reverse=True)


def test_without_requests_nothing_could_have_been_seen() -> None:
    state, _ = judge(one(), [(0, 0, 100, 0)])
    could = panel.could_see(one(), state)["5xx"]
    assert could.rate == 1
    assert "nothing could have been seen" in could.sentence("requests")


def test_a_regression_of_the_size_that_could_be_seen_is_found_four_times_out_of_five() -> None:
    import random  # noqa: PLC0415

    draw, judges = random.Random(5), one(phases=(600.0,))
    state, _ = judge(judges, [(50, 0, 950, 2)] * 60)
    rate = panel.could_see(judges, state)["5xx"].rate
    found = 0
    for _ in range(200):
        bad: list[Delta] = [
            (50, sum(draw.random() < rate for _ in range(50)), 950, 2) for _ in range(60)
        ]
        found += any(v.decision is Decision.ROLLBACK for v in judge(judges, bad)[1])
    assert 0.7 <= found / 200 <= 0.98


def test_the_hand_is_told_what_it_looked_at() -> None:
    assert counts(3, 1) == reading((3, 1, 0, 0)).candidate
