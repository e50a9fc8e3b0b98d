"""From an account's counts alone the same verdicts follow, and what was changed is found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.judge import lines, panel
from slipway.judge.evidence import Starts
from slipway.judge.limit import Limit
from slipway.judge.metric import Reading, Rule
from slipway.judge.panel import Panel, State
from slipway.judge.replay import NotAnAccount, replay
from slipway.judge.verdict import Decision, Verdict
from slipway.judge.writing import LONGEST, end_line, line_of, text_of
from slipway.ports import Counts
from slipway.release.outcome import Result
from slipway.text import one_line
from tests.unit.accounts import Written, canaried, checked, rolled
from tests.unit.builds import START
from tests.unit.world import World

# -- whole releases ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "result", "decision"),
    [
        ({}, Result.PROMOTED, Decision.PROMOTE),
        ({"error_rate": 0.06}, Result.ROLLED_BACK, Decision.ROLLBACK),
        ({"error_rate_under_load": 0.2}, Result.ROLLED_BACK, Decision.ROLLBACK),
    ],
)
def test_a_canary_is_replayed_to_the_verdict_that_it_had(
    behaviour: Mapping[str, Any], result: Result, decision: Decision
) -> None:
    written = canaried(**behaviour)
    account = written.account
    assert written.outcome.result is result
    assert account.looks[-1].verdict.decision is decision
    assert account.difference is None
    assert account.end is not None
    assert account.end.result == result
    if decision is Decision.ROLLBACK:
        assert account.looks[-1].verdict.sentence == written.outcome.reason


def test_a_release_that_could_not_be_judged_is_replayed_to_its_holds() -> None:
    world = World()

    def fall_silent(call: str) -> None:
        if call == "flags.write canary":
            world.silent_edges = ("edge-b",)

    world.before = fall_silent
    written = canaried(world)
    assert written.outcome.result is Result.HELD
    assert {look.verdict.decision for look in written.account.looks} == {Decision.HOLD}
    assert written.account.difference is None


def test_a_release_that_was_only_observed_goes_on_and_so_does_its_account() -> None:
    written = canaried(observe=True, error_rate=0.06)
    account = written.account
    first = next(n for n, look in enumerate(account.looks) if look.verdict.decision == "rollback")
    assert written.outcome.result is Result.PROMOTED
    assert account.difference is None
    assert len(account.looks) > first + 10
    assert account.end is not None
    assert account.looks[first].verdict.sentence in account.end.would_have[0].text


@pytest.mark.parametrize(
    ("errors", "result"), [(0.001, Result.PROMOTED), (0.05, Result.ROLLED_BACK)]
)
def test_a_rolling_release_is_replayed_too(errors: float, result: Result) -> None:
    written = rolled(errors)
    assert written.outcome.result is result
    assert written.account.difference is None
    assert (written.account.looks[-1].verdict.decision == "rollback") is (errors > 0.01)


@pytest.mark.parametrize(("errors", "result"), [(0.001, Result.UNCHANGED), (0.05, Result.FAILED)])
def test_a_check_of_what_is_live_is_replayed_too(errors: float, result: Result) -> None:
    written = checked(errors)
    assert written.outcome.result is result
    assert written.account.difference is None
    assert written.account.looks[-1].verdict.sentence == written.outcome.reason


# -- any sequence -----------------------------------------------------------------------------

RULES = (
    Rule(name="5xx", tolerated=1.15, alpha=0.025, least=3),
    Rule(name="ai-slow", tolerated=1.5, alpha=0.0125, least=2, hold_above=0.5),
    Rule(name="alone", tolerated=1.15, alpha=0.0125, least=3, alone=0.01),
    Rule(name="first", tolerated=1.15, alpha=0.05, least=1, kind="literal"),
    Rule(
        name="limit",
        tolerated=1.15,
        alpha=0.05,
        least=3,
        kind="limit",
        limit=Limit(share=0.05, times=2, of=3, least=20),
    ),
)
PANEL = Panel(rules=RULES, starts=Starts((600.0, 45.0, 90.5)))


@dataclass(frozen=True, slots=True)
class Step:
    """A look, ``after`` seconds since the last one: 10 is the plan, more is a pause."""

    after: float
    readings: Mapping[str, Reading]
    next_phase: bool


counts = st.integers(0, 400).flatmap(
    lambda total: st.builds(Counts, total=st.just(total), bad=st.integers(0, total))
)
readings = st.one_of(
    st.builds(Reading, candidate=counts, control=counts),
    st.builds(Reading, hold=st.text(max_size=2 * LONGEST).filter(one_line)),
)
steps = st.lists(
    st.builds(
        Step,
        after=st.floats(0, 200, allow_nan=False),
        # A metric that nobody asked for is missing, and one that nobody knows is there.
        readings=st.dictionaries(
            st.sampled_from([*(rule.name for rule in RULES), "unknown"]), readings
        ),
        next_phase=st.booleans(),
    ),
    max_size=30,
)


def judged(sequence: Sequence[Step], stops: Sequence[bool] = ()) -> tuple[list[str], list[Verdict]]:
    """Return the account of a sequence and its verdicts.

    Where ``stops`` is true the process ends after that look, and another one goes on.
    """
    phase, seconds, state = 0, 0.0, State()
    first = {"release": "7.1", "service": "bot"}
    text = [text_of(lines.release_line(PANEL, **first))]
    verdicts: list[Verdict] = []

    def begin() -> None:
        nonlocal state
        shifts = {"5xx": 1.0 + phase / 3}
        state = panel.begin(PANEL, state, phase, shifts)
        text.append(text_of(lines.phase_line(phase, f"phase {phase}", 5, shifts)))

    begin()
    for number, step in enumerate(sequence):
        seconds += step.after
        state, verdict = panel.look(PANEL, state, seconds, step.readings)
        at = START.isoformat()
        text.append(text_of(lines.look_line(PANEL, state, step.readings, verdict, at)))
        verdicts.append(verdict)
        if number < len(stops) and stops[number]:
            state = lines.state_of(json.loads(json.dumps(line_of(text[-1])["state"])))
        if step.next_phase and phase + 1 < len(PANEL.starts.phases):
            phase, seconds = phase + 1, 0.0
            begin()
    return text, verdicts


@given(steps, st.lists(st.booleans(), max_size=30))
@settings(deadline=None)
def test_stops_and_resumptions_change_no_verdict_and_no_number(
    sequence: Sequence[Step], stops: Sequence[bool]
) -> None:
    assert judged(sequence, stops) == judged(sequence)


@given(steps)
@settings(deadline=None)
def test_any_sequence_is_replayed_to_its_verdicts(sequence: Sequence[Step]) -> None:
    text, verdicts = judged(sequence)
    (account,) = replay("\n".join(text))
    assert account.difference is None
    assert [look.verdict.decision for look in account.looks] == [v.decision for v in verdicts]
    assert [look.verdict.metric for look in account.looks] == [v.metric for v in verdicts]


@given(steps, st.floats(0, 2000))
@settings(deadline=None)
def test_a_look_that_sees_nothing_new_changes_nothing_but_the_clock(
    sequence: Sequence[Step], later: float
) -> None:
    seconds, state = 0.0, panel.begin(PANEL, State(), 0, {})
    for step in sequence:
        seconds += step.after
        state, _ = panel.look(PANEL, state, seconds, step.readings)
    nothing = {rule.name: Reading() for rule in RULES}
    seen, _ = panel.look(PANEL, state, seconds + later, nothing)
    assert seen.seconds == seconds + later
    for rule in RULES:
        one, other = state.metrics[rule.name], seen.metrics[rule.name]
        # With the clock starts begin: what is left for them becomes theirs, and says as little.
        assert other.evidence.value == pytest.approx(one.evidence.value, rel=1e-9)
        assert other.evidence.unspent <= one.evidence.unspent
        assert one == replace(
            other,
            evidence=replace(other.evidence, sums=one.evidence.sums, unspent=one.evidence.unspent),
            recent=one.recent,
            first_minute=one.first_minute,
        )


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_a_number_comes_back_from_its_text_as_it_was(number: float, whole: int) -> None:
    back = line_of(text_of({"number": number, "whole": whole}))
    assert back == {"number": number, "whole": whole}
    assert repr(back["number"]) == repr(number)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_is_no_number_is_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        text_of({"number": number})


@pytest.mark.parametrize("text", ['{"seconds":NaN}', '{"seconds":-Infinity}', "[" * 100_000, "1"])
def test_what_is_no_number_and_no_object_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        line_of(text)


# -- what was changed -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad() -> Written:
    """A release that was rolled back after some looks."""
    written = canaried(error_rate=0.008)
    assert len(written.account.looks) > 2
    return written


def test_a_count_that_was_changed_is_found_in_its_line(bad: Written) -> None:
    number = bad.first_look()
    text = bad.changed(number, lambda line: line["counts"]["5xx"]["candidate"].update(bad=1))
    (account,) = replay(text)
    assert account.difference is not None
    assert account.difference.line == number
    assert account.difference.what.startswith(("evidence.5xx", "sentence", "state"))


def test_a_verdict_that_was_changed_is_told_with_what_the_counts_come_to(bad: Written) -> None:
    last = len(bad.lines) - 1
    (account,) = replay(bad.changed(last, lambda line: line.update(verdict="promote")))
    found = account.difference
    assert found is not None
    assert (found.line, found.what) == (last, "verdict")
    assert (found.written, found.counted) == ("'promote'", "'rollback'")


def test_evidence_and_state_that_were_changed_are_found(bad: Written) -> None:
    number = bad.first_look()
    text = bad.changed(number, lambda line: line["evidence"].update({"5xx": 0.5}))
    (account,) = replay(text)
    assert account.difference is not None
    assert account.difference.what == "evidence.5xx"
    text = bad.changed(
        number, lambda line: line["state"]["metrics"]["5xx"]["evidence"]["sums"].pop()
    )
    (account,) = replay(text)
    assert account.difference is not None
    assert account.difference.what == "state.metrics.5xx.evidence.sums"


def test_a_look_that_was_taken_out_is_found(bad: Written) -> None:
    lines = [*bad.lines]
    del lines[bad.first_look() - 1]
    (account,) = replay("\n".join(lines))
    assert account.difference is not None


def test_the_last_digit_of_another_machine_is_no_difference(bad: Written) -> None:
    def nudge(line: dict[str, Any]) -> None:
        evidence = line["state"]["metrics"]["5xx"]["evidence"]
        evidence["sums"] = [value * (1 + 1e-14) for value in evidence["sums"]]

    (account,) = replay(bad.changed(bad.first_look(), nudge))
    assert account.difference is None


# -- what is no account -----------------------------------------------------------------------


def test_a_last_line_that_was_cut_is_said_and_the_rest_is_read(bad: Written) -> None:
    for length in (1, 30, len(bad.lines[-2]) - 1):
        text = "\n".join([*bad.lines[:-2], bad.lines[-2][:length]])
        (account,) = replay(text)
        assert account.cut == len(bad.lines) - 1
        assert len(account.looks) == len(bad.account.looks) - 1
        assert account.end is None


def test_another_process_may_have_gone_on_after_a_line_that_was_cut(bad: Written) -> None:
    cut, whole = replay(f"{bad.text}{bad.lines[0]}\n{bad.lines[1][:9]}\n{bad.text}")[1:]
    assert cut.cut == len(bad.lines) + 2
    assert whole.end is not None


@pytest.mark.parametrize(
    ("change", "line", "told"),
    [
        (lambda lines: [], 1, "the first line of an account"),
        (lambda lines: ["", *lines[1:]], 2, "the first line of an account"),
        (lambda lines: ["{}"], 1, "the first line of an account"),
        (lambda lines: [lines[0].replace('"v":1', '"v":2')], 1, "of version 1"),
        (lambda lines: [lines[0].replace('"alpha"', '"beta"')], 1, "the first line of an account"),
        (lambda lines: [lines[0], lines[2]], 2, "the first phase"),
        (lambda lines: [*lines[:3], "no JSON", *lines[3:]], 4, "a JSON object on one line"),
        (lambda lines: [*lines[:3], "[]", *lines[3:]], 4, "a JSON object on one line"),
        (lambda lines: [*lines[:3], '{"kind":"other"}'], 4, "a phase, a look or the end"),
        (lambda lines: [*lines[:2], '{"kind":"look"}'], 3, "of the kind look"),
        (lambda lines: [lines[0], lines[1].replace('"phase":0', '"phase":9')], 2, "kind phase"),
        (lambda lines: [*lines, lines[2]], None, "nothing after the end"),
    ],
)
def test_a_file_that_is_no_account_is_told_with_its_line_and_what_was_expected(
    bad: Written, change: Any, line: int | None, told: str
) -> None:
    with pytest.raises(NotAnAccount, match=told) as error:
        replay("".join(f"{each}\n" for each in change(bad.lines)))
    assert error.value.line == (line or len(bad.lines) + 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(st.data())
@settings(deadline=None)
def test_whatever_a_file_holds_it_is_read_or_told_to_be_no_account(
    bad: Written, data: st.DataObject
) -> None:
    lines = [json.loads(line) for line in bad.lines]
    line = data.draw(st.sampled_from(lines))
    node, key = line, data.draw(st.sampled_from(sorted(line)))
    while isinstance(node[key], dict) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node)))
    node[key] = data.draw(json_values)
    text = "\n".join(json.dumps(each) for each in lines)
    number = 1
    try:
        found = replay(text)
    except NotAnAccount as error:
        number = error.line
    else:
        assert found
    assert 1 <= number <= len(lines)


@given(st.text(max_size=200))
def test_any_text_is_read_or_told_to_be_no_account(text: str) -> None:
    with pytest.raises(NotAnAccount):
        replay(text)


def test_an_end_says_what_would_have_been() -> None:
    would = [{"at": START.isoformat(), "text": "x" * 2 * LONGEST}]
    line = line_of(text_of(end_line(at="now", result="promoted", reason="why", would_have=would)))
    assert line["kind"] == "end"
    assert len(line["would_have"][0]["text"]) == LONGEST
