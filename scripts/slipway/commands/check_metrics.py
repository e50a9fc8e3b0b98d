"""check-metrics: what is live, judged by its metrics; nothing is changed."""

from __future__ import annotations

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands.perform import ports_of
from slipway.errors import UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.release import checking
from slipway.release.journal import Journal
from slipway.release.outcome import Outcome
from slipway.setup import Desk, edge_client, require_stable
from slipway.text import escape


def check_metrics(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Look for as long as was asked, or once. Raises what is wrong with the configuration."""
    settings = config.load(inputs.config)
    (name,) = inputs.services
    desk = Desk(
        inputs=inputs,
        settings=settings,
        name=name,
        service=settings.service(name),
        clock=clock,
        runner=runner,
        conclude=lambda _: None,
    )
    stable, service = require_stable(desk).service, desk.service
    journal = Journal(clock, lambda entry: runner.say(f"{entry.at:%H:%M:%S} {entry.text}"))
    ports = ports_of(desk, "production", journal, judged=True)
    edge = None
    if service.edge and service.canary:
        if not inputs.keys.edge:
            raise UsageError(
                "the input `edge-token` is missing or empty",
                remedy="The edge counts what the canary is compared by: pass its token.",
            )
        edge = edge_client(desk, ports, service.edge, inputs.keys.edge)
    plan = checking.Plan(
        settings=service,
        stable=stable,
        canary=service.canary.service if service.canary else None,
        seconds=inputs.seconds,
    )
    outcome = checking.run(plan, ports, edge)
    if inputs.summary:
        runner.add_summary(f"### Metrics of {escape(name)}\n\n{escape(outcome.reason)}\n")
    return outcome
