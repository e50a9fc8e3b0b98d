"""check-metrics: what is live, judged by its metrics; nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands.calls import ports_of
from slipway.commands.written import account_of, end_of
from slipway.errors import Aborted, UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.release import checking
from slipway.release.journal import Journal
from slipway.release.outcome import Outcome, Result
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
    holder = inputs.run.holder
    release = f"{holder.run_id}.{holder.attempt}-{inputs.verb}"
    account = account_of(desk, inputs.verb, journal, release, mode="check")
    ports = ports_of(desk, "production", journal, judged=True, log=account)
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
    try:
        outcome = checking.run(plan, ports, edge)
    except Aborted as error:  # Ctrl-C, or the job is cancelled: what was written is kept
        outcome = Outcome(result=Result.ABORTED, reason=error.found, remedy=error.remedy)
    outcome = replace(outcome, evidence_file=str(account.path or ""))
    account.end(end_of(outcome, journal, clock.now()))
    if inputs.summary:
        runner.add_summary(f"### Metrics of {escape(name)}\n\n{escape(outcome.reason)}\n")
    return outcome
