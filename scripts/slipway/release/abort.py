"""abort: end the release that is under way, and change nothing else."""

from __future__ import annotations

from dataclasses import replace

from slipway.errors import Refused
from slipway.release import deploys, takeover
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome, Result
from slipway.release.stop import Stop, Zero
from slipway.release.takeover import Order
from slipway.text import short


def run(order: Order, ports: Ports, stop: Stop | None) -> Outcome:
    """Share 0, and running deploys of the stable service cancelled. Never raises SlipwayError.

    A build that is live everywhere already stays: taking it back is Promote Previous Build.
    """
    return takeover.run(order, ports, stop, lambda zero: _end(order, ports, zero))


def _end(order: Order, ports: Ports, zero: Zero | None) -> Outcome:
    service = deploys.usable(ports, order.stable)
    latest = ports.platform.deploys(order.stable)
    live = deploys.live(latest)
    if live is None:
        raise Refused(
            f"{service.name} has no live deploy: there is nothing to stay on",
            remedy="Name a build to bring back: Promote Previous Build, with a target.",
        )
    running = [deploy for deploy in latest if deploy.status.running]
    deploys.cancel_running(ports, order.stable)
    candidate = takeover.under_way(order, ports, zero)
    if candidate and candidate != live.identity:
        outcome = takeover.ended(order, candidate, live, alive=bool(zero and zero.leased))
        # What was cancelled on the stable service is not known to be gone yet.
        return outcome if running else replace(outcome, seconds_to_old_code=0.0)
    stays = f"{service.name} stays on {short(live.identity or live.id)}"
    if not running:
        return Outcome(
            result=Result.UNCHANGED,
            reason=f"no release of {service.name} is under way: {stays}",
            remedy="To take back what is live, use Promote Previous Build.",
            deploy_id=live.id,
            build=live.identity or "",
        )
    cancelled = ", ".join(deploy.id for deploy in running)
    return Outcome(
        result=Result.PROMOTED_PREVIOUS,
        reason=f"{order.actor} cancelled {cancelled}; {stays}: {order.reason}",
        deploy_id=live.id,
        build=live.identity or "",
        previous_build=running[0].identity or "",
    )
