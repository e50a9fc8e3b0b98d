"""The judge of one metric: its rule, its state, and what a look makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, Literal

from slipway.judge.evidence import MINUTE, Evidence, Starts
from slipway.judge.limit import Limit, Looks
from slipway.judge.verdict import Decision, Verdict, percent, rate
from slipway.ports import NOTHING, Counts

OUTAGE_RATE: Final = 0.5
OUTAGE_EVENTS: Final = 20
"""As the edge's own tripwire has it. Where the control has had as many events the evidence decides,
which is as fast; this is for one that is idle."""
SUSPICIOUS: Final = 0.1
"""Share of bad events with which nothing passes beside an idle control."""
CONFIRMED: Final = 3
"""Looks with news of the control that must speak against the candidate, where `confirm` is set: by
then a scrape of each of its instances has come, as far as can be known."""
RECENT: Final = 6
"""Looks with events of the control that tell whether it fares badly itself, now."""
ENOUGH: Final = 20
"""Events of the control from which on its recent share means anything."""
SILENT: Final = 200
"""Events of the control from which on it means something that the candidate has had none: at 5 % it
should have had ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one metric is judged."""

    name: str
    noun: str = "requests"
    """What its events are, for sentences."""
    tolerated: float
    """The largest ratio to the control's rate that is no reason to go back."""
    alpha: float
    """Chance with which this metric may take a good build back, over the whole release."""
    least: int
    """Bad events of the candidate below which nothing is taken back."""
    kind: Literal["evidence", "literal", "limit"] = "evidence"
    limit: Limit | None = None
    hold_above: float | None = None
    """Share (0 to 1) of the control's recent events from which on nobody is blamed."""
    alone: float | None = None
    """There is no control, and so large a rate (0 to 1) is tolerated; 1: nothing is known of it."""
    confirm: bool = False
    """Whether its two sides are not counted at the same instant: one may show the beginning of what
    befalls both before the other does, so that it takes several looks to go back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a metric has counted since the last look that counted."""

    candidate: Counts = NOTHING
    control: Counts = NOTHING
    hold: str = ""
    """Why it has not counted: what came meanwhile comes with a later look, or is left out."""
    doubt: str = ""
    """Why this is not all there is. It may speak against the candidate, and never for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one metric remembers: a few dozen numbers."""

    evidence: Evidence = field(default_factory=Evidence)
    candidate: Counts = NOTHING
    """Of this phase."""
    control: Counts = NOTHING
    """Of this phase."""
    recent: tuple[Counts, ...] = ()
    """The control's last looks."""
    looks: Looks = field(default_factory=Looks)
    first_minute: bool = False
    """Whether the literal rule has had its look of this phase."""
    shift: float = 1.0
    """How much more often the candidate's users fail anyway, in this phase."""
    suspected: int = 0
    """Looks with news of the control that spoke against the candidate, in a row."""


def begin(state: State, starts: Starts, phase: int, shift: float) -> State:
    """Begin a phase: counts of the phase anew, evidence goes on."""
    return replace(
        state,
        evidence=state.evidence.start(starts.begin(phase)),
        candidate=NOTHING,
        control=NOTHING,
        first_minute=False,
        shift=shift,
    )


def look(
    rule: Rule,
    state: State,
    reading: Reading,
    *,
    starts: Starts,
    phase: int,
    after: float,
    until: float,
) -> tuple[State, Verdict]:
    """Take in what came between ``after`` and ``until`` seconds of the phase, and judge."""
    state, verdict = _look(rule, state, reading, starts.phases[phase], until)
    # What begins now is judged by what comes from now on.
    weight = starts.between(phase, after, until)
    if weight:
        state = replace(state, evidence=state.evidence.start(weight))
    return state, verdict


def _look(
    rule: Rule, state: State, reading: Reading, planned: float, until: float
) -> tuple[State, Verdict]:
    if reading.hold:
        return state, _verdict(Decision.HOLD, rule, f"{rule.name}: {reading.hold}")
    recent = state.recent
    if reading.control.total:  # a source may be asked more often than it has news
        recent = (*recent, reading.control)[-RECENT:]
    state = replace(
        state,
        candidate=state.candidate + reading.candidate,
        control=state.control + reading.control,
        recent=recent,
    )
    if why := _nobodys_fault(rule, recent):
        calm = replace(state, suspected=0)
        return calm, _verdict(Decision.HOLD, rule, f"{why}: {_seen(rule, state)}")
    state = _take_in(rule, state, reading)
    why = _against(rule, state, planned, until)
    if rule.kind == "literal" and _is_over(planned, until):
        state = replace(state, first_minute=True)
    if why is None:
        state = replace(state, suspected=0)
        return state, _unless(rule, state, reading.doubt)
    if rule.confirm:
        state = replace(state, suspected=state.suspected + bool(reading.control.total))
        if state.suspected < CONFIRMED:
            return state, _verdict(Decision.HOLD, rule, f"to be confirmed: {why}")
    return state, _verdict(Decision.ROLLBACK, rule, why)


def _unless(rule: Rule, state: State, doubt: str) -> Verdict:
    """Say that nothing speaks against it, or why that cannot be said."""
    seen = _seen(rule, state)
    if doubt:
        return _verdict(Decision.HOLD, rule, f"{doubt}; so far {seen}")
    compared = rule.alone is None and rule.kind != "limit"
    if compared and state.candidate.total == 0 and state.control.total >= SILENT:
        return _verdict(Decision.HOLD, rule, f"nothing of the candidate: {seen}")
    idle = compared and state.control.total < ENOUGH
    if idle and state.candidate.bad >= rule.least and _share(state.candidate) >= SUSPICIOUS:
        return _verdict(Decision.HOLD, rule, f"too little to compare with: {seen}")
    return _verdict(Decision.PROMOTE, rule, f"nothing against it: {seen}")


def _take_in(rule: Rule, state: State, reading: Reading) -> State:
    if rule.limit is not None:
        return replace(state, looks=state.looks.see(reading.candidate, rule.limit))
    if rule.kind == "literal":
        return state
    if rule.alone is not None:
        evidence = state.evidence.see_alone(reading.candidate, tolerated=rule.alone)
    else:
        evidence = state.evidence.see(
            reading.candidate, reading.control, tolerated=rule.tolerated, shift=state.shift
        )
    return replace(state, evidence=evidence)


def _against(rule: Rule, state: State, planned: float, until: float) -> str | None:
    """Return what speaks against the candidate, if it is enough."""
    if _is_outage(rule, state):
        why: str | None = "at least half are bad"
    elif rule.limit is not None:
        why = _over_limit(rule.limit, state.looks)
    elif rule.kind == "literal":
        why = _more_in_first_minute(rule, state, planned, until)
    else:
        why = _evident(rule, state)
    return why and f"{why}: {_seen(rule, state)}{_how_sure(rule, state)}"


def _over_limit(limit: Limit, looks: Looks) -> str | None:
    if not looks.breached(limit):
        return None
    return f"above {percent(limit.share)} in {limit.times} of {limit.of} looks"


def _more_in_first_minute(rule: Rule, state: State, planned: float, until: float) -> str | None:
    """The rule as the plan has it: one look at the end of the first minute, and no more."""
    if state.first_minute or not _is_over(planned, until) or not state.candidate.bad:
        return None
    if rule.alone is None and not state.control.total:
        return None  # more than nothing at all: there is nothing it could be more than
    tolerated = Fraction(str(rule.tolerated)) * _share(state.control)
    if rule.alone is not None:
        tolerated = Fraction(rule.alone)
    if _share(state.candidate) <= tolerated:
        return None
    return f"more than {rule.tolerated:g} times in the first minute"


def _evident(rule: Rule, state: State) -> str | None:
    if not _is_evident(rule, state):
        return None
    if rule.alone is not None:
        return f"more than the {percent(rule.alone)} that are tolerated"
    return f"more than {rule.tolerated:g} times as often as the build before"


def _is_evident(rule: Rule, state: State) -> bool:
    evidence = state.evidence
    return evidence.value >= 1 / rule.alpha and evidence.bad >= rule.least


def _how_sure(rule: Rule, state: State) -> str:
    """Say what the evidence means, where it decides."""
    if rule.kind != "evidence" or not _is_evident(rule, state):
        return ""
    return (
        f"; a good build would look this bad in fewer than 1 of {1 / rule.alpha:.0f} releases "
        f"(evidence {min(state.evidence.value, 1e9):,.0f})"
    )


def _nobodys_fault(rule: Rule, recent: tuple[Counts, ...]) -> str | None:
    if rule.hold_above is None:
        return None
    total, bad = sum(c.total for c in recent), sum(c.bad for c in recent)
    if total < ENOUGH or bad < rule.hold_above * total:
        return None
    return f"the build before has {percent(bad / total)} bad ones too, so nobody is blamed"


def _is_over(planned: float, until: float) -> bool:
    """Whether the first minute is over, or a phase that is shorter."""
    return until >= min(MINUTE, planned)


def _is_outage(rule: Rule, state: State) -> bool:
    """Whether half of what the candidate had is bad, beside a control that is idle, and well."""
    if rule.kind == "limit" or rule.hold_above is not None or rule.alone not in (None, 1.0):
        return False
    candidate, control = state.candidate, state.control
    idle = control.total < OUTAGE_EVENTS and control.bad == 0
    return (
        idle and candidate.total >= OUTAGE_EVENTS and candidate.bad >= OUTAGE_RATE * candidate.total
    )


def _seen(rule: Rule, state: State) -> str:
    mine = f"{rule.name}: candidate {rate(state.candidate)}"
    if rule.alone is None:
        return f"{mine}, build before {rate(state.control)}"
    return mine if rule.alone >= 1 else f"{mine}, {percent(rule.alone)} tolerated"


def _share(counts: Counts) -> Fraction:
    """Exactly: 15 % more is not more than 15 % more."""
    return Fraction(counts.bad, counts.total) if counts.total else Fraction(0)


def _verdict(decision: Decision, rule: Rule, sentence: str) -> Verdict:
    return Verdict(decision=decision, sentence=sentence, metric=rule.name)
