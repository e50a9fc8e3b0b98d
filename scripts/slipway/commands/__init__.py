"""The commands: from checked inputs to an outcome."""

from __future__ import annotations

from collections.abc import Callable

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands import going_back, release
from slipway.commands.adopt import adopt
from slipway.commands.ended import Ended
from slipway.commands.perform import Task, perform
from slipway.commands.strategies import (
    canary_prod,
    deploy_staging,
    put_in_order,
    rolling_ui,
)
from slipway.commands.unlock import unlock
from slipway.github_actions import Runner
from slipway.inputs import Inputs, Verb
from slipway.report.markdown import Report
from slipway.setup import Desk

_TASKS: dict[Verb, Callable[[Desk], Task]] = {
    "deploy-staging": deploy_staging,
    "canary-prod": canary_prod,
    "rolling-ui": rolling_ui,
    "adopt": adopt,
    "unlock": unlock,
    "reconcile": put_in_order,
}


def run(
    inputs: Inputs, clock: SystemClock, runner: Runner, conclude: Callable[[Report], None]
) -> Ended:
    """Run the command that was asked for.

    ``conclude`` is called with each report as soon as its outcome is known, before GitHub is told.
    Expected failures become outcomes; raises only what is wrong before anything was changed, and
    bugs.
    """
    settings = config.load(inputs.config)

    def desk(name: str) -> Desk:
        return Desk(
            inputs=inputs,
            settings=settings,
            name=name,
            service=settings.service(name),
            clock=clock,
            runner=runner,
            conclude=conclude,
        )

    if inputs.verb == "release":
        return release.run(desk, inputs, settings)
    if inputs.verb == "rollback":
        return going_back.run(desk, inputs, settings)
    (name,) = inputs.services
    here = desk(name)
    return Ended.of(perform(here, _TASKS[inputs.verb](here)))
