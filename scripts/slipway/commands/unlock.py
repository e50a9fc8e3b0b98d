"""From a desk to a bad build that a person allows again."""

from __future__ import annotations

from slipway.commands.perform import Task
from slipway.release import unlock as unlocking
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.setup import Desk


def unlock(desk: Desk) -> Task:
    """Record that a bad build, and what descends from it, may be released."""
    inputs = desk.inputs

    def act(ports: Ports, release: str) -> Outcome:
        return unlocking.run(
            unlocking.Plan(
                release=release,
                bad_build=inputs.bad_build,
                reason=inputs.reason,
                actor=inputs.run.actor,
                run_url=inputs.run.url,
            ),
            ports,
        )

    return Task(verb="unlock", environment="production", artifact=None, act=act)
