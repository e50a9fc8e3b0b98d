"""What a person orders against whatever runs: everybody off the canary first, then the order.

Promote Previous Build, abort and a direct deploy begin alike: share 0, whoever drives the release,
beside what is to be done at Render. None of them waits for a release to end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from slipway.config import Service as Settings
from slipway.errors import Cancelled, Refused, SlipwayError
from slipway.ports import Deploy, Holder, Phase, Record
from slipway.release.deploys import Ports
from slipway.release.leftover import NOBODY_VOUCHES
from slipway.release.outcome import Outcome, Result
from slipway.release.stop import DEADLINE, HURRIED, Stop, Zero
from slipway.text import short

KNOW_MORE = 2.0
"""Seconds the slower of edge and PostHog gets to say which release was under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who orders it, why, and for which service."""

    release: str
    settings: Settings
    stable: str
    """Render service id."""
    reason: str
    actor: str
    holder: Holder


def run(
    order: Order,
    ports: Ports,
    stop: Stop | None,
    act: Callable[[Zero | None], Outcome],
    *,
    beside: Callable[[], None] = lambda: None,
    zero: Zero | None = None,
) -> Outcome:
    """Take everybody off the canary and ``act``. Never raises SlipwayError.

    ``stop`` is ``None`` for a service without an edge. ``beside`` begins what may run while the
    slower of edge and PostHog answers. ``zero``: everybody has been taken off already. ``act`` says
    after how many seconds of its own the stable service was known to run old code.
    """
    hurry = False
    began = ports.clock.monotonic() if zero is None else zero.asked
    if stop is not None and zero is None:
        zero = order_zero(order, stop)
    beside()
    if zero is not None:
        zero.wait(KNOW_MORE)
    before = ports.clock.monotonic() - began
    try:
        outcome = act(zero)
    except Refused as error:
        outcome = Outcome(
            result=Result.REFUSED,
            reason=f"the stable service was not touched: {error.found}",
            remedy=error.remedy,
            failure=error,
        )
    except SlipwayError as error:
        hurry = isinstance(error, Cancelled)
        outcome = Outcome(
            result=Result.FROZEN,
            reason=f"it was not finished: {error.found}",
            remedy=f"{error.remedy} Or press Rollback at Render on the deploy to go back to.",
        )
    if outcome.seconds_to_old_code is not None:
        outcome = replace(outcome, seconds_to_old_code=before + outcome.seconds_to_old_code)
    if stop is not None and zero is not None:
        zero.wait(HURRIED if hurry else DEADLINE)
        with ports.clock.shielded():
            outcome = _with_zero(order, ports, outcome, stop, zero)
    return replace(outcome, release_id=order.release)


def order_zero(order: Order, stop: Stop) -> Zero:
    """Take everybody off the canary, whoever drives the release."""
    return stop.to_zero(f"{order.actor}: {order.reason}", release=None)


def under_way(order: Order, ports: Ports, zero: Zero | None) -> str | None:
    """Return the candidate of the release that was under way, dead or alive."""
    return zero.was_for(ports.clock.now(), _longest(order.settings)) if zero else None


def _longest(settings: Settings) -> float:
    """Return for how long a phase may last without the record changing, in seconds."""
    strategy = settings.strategy
    steps = [2 * step.for_ for step in (*strategy.steps, strategy.bake)]
    lease = settings.edge.lease if settings.edge else 0.0
    return max([strategy.deploy_deadline, *steps]) + lease


def ended(order: Order, candidate: str, stays: Deploy, *, alive: bool) -> Outcome:
    """A release was under way and stable runs the build before it: that is the way back."""
    what = "ended the release of" if alive else "found a dead release of"
    return Outcome(
        result=Result.PROMOTED_PREVIOUS if alive else Result.UNCHANGED,
        reason=f"{order.actor} {what} {short(candidate)}; everybody is on "
        f"{short(stays.identity or stays.id)}, which the stable service kept: {order.reason}",
        remedy="To go further back, name a target, or press the button again in a minute.",
        deploy_id=stays.id,
        build=stays.identity or "",
        previous_build=candidate,
    )


def _with_zero(order: Order, ports: Ports, outcome: Outcome, stop: Stop, zero: Zero) -> Outcome:
    """Add what is known of share 0, and write what is stable now into the record."""
    if zero.trouble:
        ports.journal.trouble(zero.trouble)
    if outcome.build:
        stop.close(
            zero,
            Record(
                release=order.release,
                # That a person leaves a build where it is says not that it has passed.
                candidate=outcome.build if outcome.result is Result.PROMOTED else NOBODY_VOUCHES,
                stable_build=outcome.build,
                stable_deploy=outcome.deploy_id,
                phase=Phase.STABLE,
                share=0,
                holder=order.holder,
                since=ports.clock.now(),
            ),
            ordered=True,
        )
    trouble = f" ({zero.trouble})" if zero.trouble else ""
    outcome = replace(
        outcome,
        reason=outcome.reason + trouble,
        share=0.0 if zero.edge is None else None,
        seconds_to_zero=zero.seconds,
        seconds_to_old_code=_old_code(outcome.seconds_to_old_code, zero),
    )
    if zero.safe:
        return outcome
    return replace(
        outcome,
        result=Result.FROZEN,
        failure=None,
        remedy=outcome.remedy or "Turn the release flag off in PostHog, and look at the edge.",
    )


def _old_code(stable: float | None, zero: Zero) -> float | None:
    """Return the seconds until neither track served new code; ``None``: that is not known."""
    if stable is None or zero.seconds is None:
        return None
    return max(stable, zero.seconds)
