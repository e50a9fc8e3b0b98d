"""Setting the judge up for one canary release."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.config import Step
from slipway.judge.evidence import Starts
from slipway.judge.panel import Panel
from slipway.ports import Edge, Side, Sides
from slipway.release.deploys import Ports
from slipway.release.habits import allowance
from slipway.release.measuring import ERRORS, Readings, rules_of, sources_with_edge
from slipway.release.preflight import Before, Plan
from slipway.release.watch import Judged


def judged(plan: Plan, ports: Ports, edge: Edge, before: Before, steps: Sequence[Step]) -> Judged:
    """Return what judges this release, with its counting begun."""
    settings, judge = plan.settings, plan.settings.strategy.judge
    sources = sources_with_edge(settings, ports.sources, edge, ports.clock)
    names = tuple(sources)
    alpha = next(r.alpha for r in rules_of(judge, settings.metrics, names) if r.name == ERRORS)
    named = len(settings.canary.sellers) if settings.canary else 0
    allowed = allowance(
        edge, [step.share for step in steps], judge, alpha, ports.journal, named=named
    )
    sides = Sides(
        candidate=Side(
            build=plan.artifact.commit or plan.artifact.identity, service=before.canary.id
        ),
        control=before.side,
    )
    return Judged(
        panel=Panel(
            rules=rules_of(judge, settings.metrics, names, calibrated=allowed.calibrated),
            starts=Starts(tuple(step.for_ for step in steps)),
        ),
        readings=Readings(sources, sides, clock=ports.clock, start=ports.start),
        steps=steps,
        shifts=allowed.shifts,
        about={
            "release": plan.release,
            "candidate": plan.artifact.identity,
            "build_before": before.live.identity or "",
            "mode": "observe" if ports.observe else "release",
        },
    )
