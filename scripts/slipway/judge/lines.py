"""The judge's own account of a release: one line of JSON for each look, and the way back from it.

A line has what was counted since the last one, the evidence, and the state after it. From the
first line, which says what is judged and how, and the counts alone, the same verdicts follow:
``slipway explain`` goes that way, and a judge that was stopped goes on from any state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from slipway.judge import metric
from slipway.judge.evidence import Evidence, Starts
from slipway.judge.limit import Limit, Looks
from slipway.judge.metric import Reading, Rule
from slipway.judge.panel import Panel, State
from slipway.judge.verdict import Verdict
from slipway.ports import Counts

VERSION: Final = 1


def release_line(panel: Panel, **about: str) -> dict[str, Any]:
    """Return the first line: who is compared (``about``), by which rules, in which phases."""
    rules = [asdict(rule) for rule in panel.rules]
    return {
        "kind": "release",
        "v": VERSION,
        **about,
        "rules": rules,
        "phases": list(panel.starts.phases),
    }


def phase_line(phase: int, name: str, share: float, shifts: Mapping[str, float]) -> dict[str, Any]:
    """Return the line of a phase's beginning; ``share`` in percent."""
    return {"kind": "phase", "phase": phase, "name": name, "share": share, "shifts": dict(shifts)}


def look_line(
    panel: Panel, state: State, readings: Mapping[str, Reading], verdict: Verdict, at: str
) -> dict[str, Any]:
    """Return the line of a look: what was counted since the last, and what it came to."""
    return {
        "kind": "look",
        "at": at,
        "seconds": state.seconds,
        "counts": {name: asdict(reading) for name, reading in readings.items()},
        "evidence": {
            rule.name: round(state.metrics[rule.name].evidence.value, 4)
            for rule in panel.rules
            if rule.kind == "evidence"
        },
        "verdict": verdict.decision,
        "metric": verdict.metric,
        "sentence": verdict.sentence,
        "state": asdict(state),
    }


def way_to_rollback(panel: Panel, state: State) -> float:
    """Return how far the strongest evidence has come (0 to 1), by its logarithm: 1 is a rollback.

    Each further error of the same kind adds about as much as the one before.
    """
    ways = [
        math.log(max(1.0, state.metrics[rule.name].evidence.value)) / math.log(1 / rule.alpha)
        for rule in panel.rules
        if rule.kind == "evidence"
    ]
    return min(1.0, max(ways, default=0.0))


def panel_of(line: Mapping[str, Any]) -> Panel:
    """Read the first line. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
    if line["kind"] != "release" or line["v"] != VERSION:
        raise ValueError("not the first line of a release that this version can read")
    rules = (
        Rule(**{**rule, "limit": Limit(**rule["limit"]) if rule["limit"] else None})
        for rule in line["rules"]
    )
    return Panel(rules=tuple(rules), starts=Starts(tuple(float(p) for p in line["phases"])))


def readings_of(line: Mapping[str, Any]) -> dict[str, Reading]:
    """Read what a look counted. Raises as :func:`panel_of`."""
    return {
        str(name): Reading(
            candidate=Counts(**told["candidate"]),
            control=Counts(**told["control"]),
            hold=told["hold"],
            doubt=told["doubt"],
        )
        for name, told in line["counts"].items()
    }


def state_of(told: Mapping[str, Any]) -> State:
    """Read a state, as it is in a line after any JSON. Raises as :func:`panel_of`."""
    return State(
        phase=told["phase"],
        seconds=told["seconds"],
        metrics={str(name): _metric(one) for name, one in told["metrics"].items()},
    )


def _metric(told: Mapping[str, Any]) -> metric.State:
    evidence, looks = told["evidence"], told["looks"]
    candidate, control = evidence["waiting"]
    return metric.State(
        evidence=Evidence(
            sums=tuple(evidence["sums"]),
            unspent=evidence["unspent"],
            bad=evidence["bad"],
            waiting=(Counts(**candidate), Counts(**control)),
        ),
        candidate=Counts(**told["candidate"]),
        control=Counts(**told["control"]),
        recent=tuple(Counts(**counts) for counts in told["recent"]),
        looks=Looks(above=tuple(looks["above"]), waiting=Counts(**looks["waiting"])),
        first_minute=told["first_minute"],
        shift=told["shift"],
        suspected=told["suspected"],
    )
