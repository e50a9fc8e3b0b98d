"""The root action: every service that has changed, in the order of slipway.yml, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from slipway import config
from slipway.commands.calls import environment_of, forge_of
from slipway.commands.ended import Ended
from slipway.commands.going_back import roll_back
from slipway.commands.perform import Done, Task, check, perform, require_proofs
from slipway.commands.strategies import (
    abort_release,
    canary_prod,
    deploy_directly,
    deploy_staging,
    promote_now,
    rolling_ui,
)
from slipway.errors import ArtifactRefused, OutsideError, Refused, SlipwayError, UsageError
from slipway.gates.codes import Code
from slipway.inputs import Inputs
from slipway.release import deploys, together
from slipway.release.deploys import Ports
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.release.scope import Changed, Choice, choose
from slipway.release.together import Part
from slipway.setup import Desk, render
from slipway.text import escape, short

_STRATEGIES: dict[str, Callable[[Desk], Task]] = {"canary": canary_prod, "rolling": rolling_ui}
_ORDERS: dict[str, Callable[[Desk], Task]] = {
    "abort": abort_release,
    "promote-now": promote_now,
    "direct": deploy_directly,
}


def run(desk: Callable[[str], Desk], inputs: Inputs, settings: config.Config) -> Ended:
    """Release what was asked for, or whatever has changed since what is live."""
    for name in (*inputs.services, *(name for name in inputs.images if name)):
        settings.service(name)
    if inputs.mode in _ORDERS:
        return _ordered(desk, inputs, settings)
    choices = choose(
        settings.services,
        named=inputs.services,
        told=inputs.strategy,
        changed=lambda name: _changed(desk(name)),
    )
    some = desk(choices[0].service)
    for choice in choices:
        some.runner.say(choice.sentence())
    if inputs.summary:
        some.runner.add_summary(_scope(choices))
    chosen = [choice for choice in choices if choice.strategy]
    if not chosen:
        sentences = "; ".join(choice.sentence() for choice in choices)
        reason = f"there is nothing to release: {sentences}"
        return Ended(done=[], outcome=Outcome(result=Result.UNCHANGED, reason=reason))
    return _together([desk(choice.service) for choice in chosen], chosen)


def _ordered(desk: Callable[[str], Desk], inputs: Inputs, settings: config.Config) -> Ended:
    """Carry out an order of a person about one service."""
    if len(inputs.services) != 1:
        raise UsageError(
            f"`mode: {inputs.mode}` is an order about one service, and `service` names "
            f"{len(inputs.services)}",
            remedy=f"Name one of: {', '.join(settings.services)}.",
        )
    here = desk(inputs.services[0])
    if here.service.fleet:
        raise UsageError(
            f"{here.name} is a fleet, and `mode: {inputs.mode}` is for a service with `stable`",
            remedy="Release it with `mode: release` or `observe`; to go back, or to end a release "
            "that is under way, use Promote Previous Build.",
        )
    return Ended.of(perform(here, _ORDERS[inputs.mode](here)))


def _together(desks: Sequence[Desk], choices: Sequence[Choice]) -> Ended:
    """Release the chosen services. What is wrong with any is told before anything is touched.

    Of one alone, whether it may reach production: the rest is looked at after staging. So is a
    check of the commit that has not ended: the push that releases may have started it too.
    """
    production = [
        (desk, _STRATEGIES[choice.strategy or "rolling"](desk))
        for desk, choice in zip(desks, choices, strict=True)
    ]
    staging = [(desk, deploy_staging(desk)) for desk in desks if desk.service.staging]
    look = check if len(production) > 1 else require_proofs
    for desk, task in production if len(production) > 1 or staging else ():
        try:
            # Staging comes first in this very release.
            look(desk, replace(task, staged=desk.service.staging is None))
        except SlipwayError as error:
            if desk.service.staging and _may_pass_later(error):
                desk.runner.say(f"{desk.name}: {error.found}; it is asked again after staging")
                continue
            # Told like any other end, on the pull request too.
            return Ended.of(perform(desk, replace(task, act=_raises(error))))
    done: list[Done] = []
    parts = [_part(desk, task, done) for desk, task in (*staging, *production)]
    outcome = together.release(parts, cancelled=lambda: desks[0].clock.cancelled)
    return Ended(done=done, outcome=outcome)


def _may_pass_later(error: SlipwayError) -> bool:
    return isinstance(error, ArtifactRefused) and Code(error.code).may_pass_later


def _raises(error: SlipwayError) -> Callable[[Ports, str], Outcome]:
    def act(_: Ports, __: str) -> Outcome:
        raise error

    return act


def _part(desk: Desk, task: Task, done: list[Done]) -> Part:
    """Return what the release needs of one task; what is done is added to ``done``."""

    def run(task: Task = task) -> Outcome:
        done.append(perform(desk, task))
        return done[-1].outcome

    def back(ended: Outcome, why: str) -> Outcome:
        released = next(one for one in done if one.task is task)
        way = roll_back(desk, target=ended.previous_build, reason=why)
        outcome = run(replace(way, carries=task.carries))
        if outcome.result is Result.PROMOTED_PREVIOUS and released.publisher:
            released.publisher.disown(f"taken-back: {why}")
        return outcome

    return Part(service=desk.name, production=task.environment == "production", run=run, back=back)


def _changed(desk: Desk) -> Changed:
    """Ask what has changed since the build of this service that is live."""
    head = desk.inputs.commit
    service_id = desk.service.stable.service if desk.service.stable else None
    service_id = service_id or next(iter(desk.service.fleet or ()), None)
    if service_id is None or head is None:
        return Changed(base=None, files=None, unknown="the commit to release is not known")
    live = deploys.live(render(desk).deploys(service_id))
    ledger = Ledger(lambda: forge_of(desk), environment_of("production", desk.name))
    try:
        entry = ledger.passed(live.identity) if live and live.identity else None
        if entry is None:
            return Changed(base=None, files=None, unknown="no deployment names the build that runs")
        files = ledger.compare(entry.commit, head).files
        bad = ledger.bad_since(entry)
        since_bad = ledger.compare(bad.commit, head).files if bad else None
    except (OutsideError, Refused) as error:
        return Changed(base=None, files=None, unknown=error.found)
    if files is None:
        unknown = f"GitHub does not list all that changed since {short(entry.commit)}"
        return Changed(base=entry.commit, files=None, unknown=unknown)
    return Changed(
        base=entry.commit, files=files, bad=bad.commit if bad else None, since_bad=since_bad
    )


def _scope(choices: Sequence[Choice]) -> str:
    lines = [f"- {escape(choice.sentence())}" for choice in choices]
    return "\n".join(["### What is released, and how", "", *lines, ""])
