"""rotate-cohort: makes the next flag key, and says what to change where."""

from __future__ import annotations

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands.doctor_clients import Clients
from slipway.errors import UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.release import rotate
from slipway.release.outcome import Outcome, Result


def rotate_cohort(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Make it and print the steps. Raises ``UsageError``, ``Refused`` and what clients raise."""
    settings = config.load(inputs.config)
    (name,) = inputs.services
    service, keys, posthog = settings.service(name), inputs.keys, settings.posthog
    if service.edge is None or posthog is None or not keys.edge or not keys.posthog:
        raise UsageError(
            f"{name} has no cohort to change: that needs `edge` and `posthog` in slipway.yml, "
            "`edge-token` and `posthog-api-key`",
            remedy="Give what is missing; a service without a canary has no cohort.",
        )
    clients, share = Clients(inputs, settings, clock), service.strategy.steps[0].share
    done = rotate.run(
        service.edge.flag,
        clients.flags(posthog, keys.posthog),
        clients.edge(service.edge, keys.edge),
        share=share,
    )
    text = steps(name, done, share)
    runner.say(text)
    if inputs.summary:
        runner.add_summary(text)
    state = "is made" if done.made else "was there already, unused"
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"{done.key} {state}; it counts once the edge and slipway.yml name it",
    )


def steps(name: str, done: rotate.Rotated, share: float) -> str:
    """Return what to change where, as Markdown."""
    known = done.sellers
    moved = (
        f"Of {known.known} sellers seen lately {known.cohort} come first at {share:g} % now; about "
        "as many others will.\n\n"
        if known
        else ""
    )
    return (
        f"### Other sellers first for {name}: `{done.key}`\n\n"
        f"The flag is in PostHog, inactive and at 0 %. {moved}Change all of these, in this order; "
        "in between releases are refused, and everybody stays on stable:\n\n"
        f"1. `RELEASE_FLAG` of the edge (render.yaml, or its Environment page): `{done.key}`, and "
        "deploy the edge.\n"
        f"2. slipway.yml: `services.{name}.edge.flag: {done.key}`.\n"
        "3. Whatever stops in an emergency: `RELEASE_FLAG` of stop.yml, and the runbook, which is "
        "written anew. Else it turns off the old flag.\n\n"
        f"Applications that ask PostHog for `{done.before}` have to ask for `{done.key}`. The old "
        "flag can be deleted in PostHog after the next release.\n"
    )
