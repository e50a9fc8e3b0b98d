"""check-metrics: judge what is live by its metrics, and change nothing.

For teams that deploy in their own way, and for a look before a release: without a duration every
source is asked once. With an edge the canary service is compared with the stable one; without, the
live build with its own last hour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.config import Service as Settings
from slipway.config import Step
from slipway.judge import lines, panel
from slipway.judge.evidence import Starts
from slipway.judge.panel import Panel
from slipway.judge.verdict import Decision, Verdict
from slipway.ports import Edge, Service, Side, Sides
from slipway.release import deploys, measuring
from slipway.release.counted import Counted
from slipway.release.deploys import Ports
from slipway.release.habits import allowance
from slipway.release.health import url_of
from slipway.release.measuring import ERRORS, Readings, rules_of, sources_with_edge
from slipway.release.outcome import Outcome, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is looked at, and for how long."""

    settings: Settings
    stable: str
    """Render service id."""
    canary: str | None
    """Render service id; ``None``: there is nothing to compare with."""
    seconds: float
    """0: every source is asked once."""


def run(plan: Plan, ports: Ports, edge: Edge | None) -> Outcome:
    """Look, and say what was seen. Raises what a source raises where it cannot be asked at all."""
    if edge is not None and plan.canary is not None and _somebody_is_on_it(plan, edge):
        verdict = _compared(plan, ports, edge, plan.canary)
    else:
        verdict = _alone(plan, ports)
    return Outcome(result=_RESULTS[verdict.decision], reason=verdict.sentence)


def _somebody_is_on_it(plan: Plan, edge: Edge) -> bool:
    """Whether there is a canary to compare; asked once, everything is looked at in any case."""
    return not plan.seconds or edge.state().share > 0


SHOWN = {
    Decision.ROLLBACK: "worse",
    Decision.HOLD: "wait",
    Decision.PROMOTE: "good so far",
}
_RESULTS = {
    Decision.PROMOTE: Result.UNCHANGED,
    Decision.HOLD: Result.HELD,
    Decision.ROLLBACK: Result.FAILED,
}


def _compared(plan: Plan, ports: Ports, edge: Edge, canary: str) -> Verdict:
    sides = Sides(candidate=_side(plan, ports, canary), control=_side(plan, ports, plan.stable))
    sources = sources_with_edge(plan.settings, ports.sources, edge, ports.clock)
    measuring.check(sources, sides.control, ports.journal)
    if not plan.seconds:
        return _every_one_answers(list(sources))
    judge, state = plan.settings.strategy.judge, edge.state()
    step = Step.model_validate({"share": max(state.share, 1), "for": f"{plan.seconds:g}s"})
    rules = rules_of(judge, plan.settings.metrics, tuple(sources))
    errors = next(rule.alpha for rule in rules if rule.name == ERRORS)
    allowed = allowance(edge, [step.share], judge, errors, ports.journal)
    judges = Panel(
        rules=rules_of(judge, plan.settings.metrics, tuple(sources), calibrated=allowed.calibrated),
        starts=Starts((plan.seconds,)),
    )
    readings = Readings(sources, sides, clock=ports.clock, start=ports.start)
    readings.read()
    shifts = {ERRORS: allowed.shifts[0]}
    seen = panel.begin(judges, panel.State(), 0, shifts)
    ports.log(lines.release_line(judges, candidate=sides.candidate.build))
    ports.log(lines.phase_line(0, "check", state.share, shifts))

    def look(seconds: float) -> Verdict:
        nonlocal seen
        now = readings.read()
        seen, verdict = panel.look(judges, seen, seconds, now)
        at = ports.clock.now().isoformat(timespec="milliseconds")
        ports.log(lines.look_line(judges, seen, now, verdict, at))
        ports.journal.note(f"{SHOWN[verdict.decision]}: {verdict.sentence}")
        return verdict

    return _until(plan, ports, look)


def _alone(plan: Plan, ports: Ports) -> Verdict:
    side = _side(plan, ports, plan.stable)
    counted = Counted(ports, [plan.stable], plan.settings)
    counted.before(side)
    names = [name for name in plan.settings.metrics if name in ports.sources]
    if not plan.seconds:
        return _every_one_answers([ERRORS, *names])
    counted.begin(Sides(candidate=side, control=side), plan.seconds)

    def look(seconds: float) -> Verdict:
        del seconds
        return counted.now()

    return _until(plan, ports, look)


def _until(plan: Plan, ports: Ports, look: Callable[[float], Verdict]) -> Verdict:
    """Look every so often until it is over, or decided."""
    clock, every = ports.clock, plan.settings.strategy.judge.every
    began = clock.monotonic()
    while True:
        clock.sleep(min(every, plan.seconds))
        passed = clock.monotonic() - began
        verdict = look(passed)
        if verdict.decision is Decision.ROLLBACK or passed >= plan.seconds:
            return verdict


def _every_one_answers(names: list[str]) -> Verdict:
    told = ", ".join(names)
    return Verdict(decision=Decision.PROMOTE, sentence=f"every source answers: {told}")


def _side(plan: Plan, ports: Ports, service_id: str) -> Side:
    """Return how the build that is live on a service calls itself."""
    service: Service = ports.platform.service(service_id)
    health = plan.settings.health
    answer = ports.prober.probe(url_of(service, health), timeout=health.timeout)
    live = deploys.live(ports.platform.deploys(service_id))
    return Side(build=answer.build or (live and live.identity) or "", service=service_id)
