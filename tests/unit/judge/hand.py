"""Judges made by hand, for tests: one metric, or several, and looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.judge import panel
from slipway.judge.evidence import Starts
from slipway.judge.metric import Reading, Rule
from slipway.judge.panel import Panel, State
from slipway.judge.verdict import Verdict
from slipway.ports import NOTHING, Counts

Delta = tuple[int, int, int, int]
"""Candidate's events and bad ones, control's events and bad ones."""


def counts(total: int, bad: int) -> Counts:
    return Counts(total=total, bad=bad)


def rule(name: str = "5xx", **changed: object) -> Rule:
    told: dict[str, object] = {"name": name, "tolerated": 1.15, "alpha": 0.05, "least": 3}
    return Rule(**{**told, **changed})  # type: ignore[arg-type]


def one(*rules: Rule, phases: tuple[float, ...] = (600.0,)) -> Panel:
    return Panel(rules=rules or (rule(),), starts=Starts(phases))


def reading(delta: Delta) -> Reading:
    total, bad, control, control_bad = delta
    return Reading(candidate=counts(total, bad), control=counts(control, control_bad))


def judge(
    judges: Panel,
    deltas: Iterable[Delta | Mapping[str, Reading]],
    *,
    every: float = 10.0,
    state: State | None = None,
    shift: float = 1.0,
) -> tuple[State, list[Verdict]]:
    """Look at each delta in one phase; return the state and all verdicts."""
    name = judges.rules[0].name
    seen = panel.begin(judges, State(), 0, {name: shift}) if state is None else state
    verdicts = []
    for number, delta in enumerate(deltas, start=1):
        readings = delta if isinstance(delta, Mapping) else {name: reading(delta)}
        seen, verdict = panel.look(judges, seen, number * every, readings)
        verdicts.append(verdict)
    return seen, verdicts


def nothing() -> Reading:
    return Reading(candidate=NOTHING, control=NOTHING)
