"""The commands: from checked inputs to an outcome."""

from __future__ import annotations

from collections.abc import Callable

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands.strategies import canary_prod, deploy_staging, roll_back, rolling_ui
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.report.markdown import Report
from slipway.setup import Desk, artifact_of, canary_setup, render, require_stable


def run(
    inputs: Inputs, clock: SystemClock, runner: Runner, conclude: Callable[[Report], None]
) -> list[Report]:
    """Run the command that was asked for; return what to tell people, one report per environment.

    ``conclude`` is called with each report as soon as its outcome is known, before GitHub is told.
    The last report's outcome is the command's. Expected failures become outcomes; raises only
    :class:`UsageError` (nothing was called yet) and bugs.
    """
    settings = config.load(inputs.config)
    service = settings.service(inputs.service)
    desk = Desk(
        inputs=inputs,
        settings=settings,
        service=service,
        clock=clock,
        runner=runner,
        conclude=conclude,
    )
    steps: dict[str, list[Callable[[Desk], Report]]] = {
        "deploy-staging": [deploy_staging],
        "canary-prod": [canary_prod],
        "rolling-ui": [rolling_ui],
        "rollback": [roll_back],
        "release": [deploy_staging, canary_prod] if service.staging else [canary_prod],
    }
    takes_fleets = service.fleet and inputs.verb in ("rolling-ui", "rollback")
    if inputs.verb != "deploy-staging" and not takes_fleets:
        require_stable(desk)
    if inputs.verb in ("canary-prod", "release"):
        canary_setup(desk)
    if inputs.verb == "release" and service.staging:
        # Wrong for production is wrong before staging is touched.
        artifact_of(desk, render(desk), require_stable(desk).service)
    reports: list[Report] = []
    for step in steps[inputs.verb]:
        reports.append(step(desk))
        outcome = reports[-1].outcome
        if outcome is None or outcome.exit_code != 0:
            break
    return reports
