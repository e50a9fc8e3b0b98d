"""Several metrics, one verdict: the judge of a whole release, through all its phases.

Pure: a fold over looks. The state is what has been seen so far; it can be written down as JSON
after any look and taken up again, by another process or by ``slipway explain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slipway.judge import metric
from slipway.judge.evidence import Starts
from slipway.judge.metric import Reading, Rule
from slipway.judge.power import Power, power
from slipway.judge.verdict import Decision, Verdict

_ORDER = (Decision.ROLLBACK, Decision.HOLD, Decision.PROMOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What is judged, and how: fixed for a release."""

    rules: tuple[Rule, ...]
    starts: Starts
    """Its phases: the planned seconds of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What has been seen so far."""

    phase: int = -1
    """Index of the phase; -1: none has begun."""
    seconds: float = 0.0
    """Of the phase, at the last look."""
    metrics: Mapping[str, metric.State] = field(default_factory=dict)


def begin(panel: Panel, state: State, phase: int, shifts: Mapping[str, float]) -> State:
    """Begin a phase. ``shifts``: by metric, where its users are known to fail more often anyway."""
    return State(
        phase=phase,
        metrics={
            rule.name: metric.begin(
                state.metrics.get(rule.name, metric.State()),
                panel.starts,
                phase,
                shifts.get(rule.name, 1.0),
            )
            for rule in panel.rules
        },
    )


def look(
    panel: Panel, state: State, seconds: float, readings: Mapping[str, Reading]
) -> tuple[State, Verdict]:
    """Take in what every metric has counted by ``seconds`` of the phase, and judge.

    One metric that is bad is enough to go back; one that cannot be said is enough to hold.
    """
    states = dict(state.metrics)
    verdicts = []
    for rule in panel.rules:
        states[rule.name], verdict = metric.look(
            rule,
            states[rule.name],
            readings.get(rule.name, Reading(hold="it was not asked for")),
            starts=panel.starts,
            phase=state.phase,
            after=state.seconds,
            until=max(state.seconds, seconds),
        )
        verdicts.append(verdict)
    seen = replace(state, seconds=max(state.seconds, seconds), metrics=states)
    return seen, min(verdicts, key=lambda verdict: _ORDER.index(verdict.decision))


def could_see(panel: Panel, state: State) -> Mapping[str, Power]:
    """Return for each metric that is compared with a control what this phase could have seen."""
    return {
        rule.name: power(
            seen.candidate,
            seen.control,
            alpha=rule.alpha,
            weight=panel.starts.begin(state.phase),
            tolerated=rule.tolerated,
            least=rule.least,
            shift=seen.shift,
        )
        for rule in panel.rules
        if rule.kind == "evidence" and rule.alone is None
        for seen in (state.metrics[rule.name],)
    }
