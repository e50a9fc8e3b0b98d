"""promote-now: ask the controller of the canary under way to end its judging, and see it end."""

from __future__ import annotations

from slipway.errors import OutsideError, Refused
from slipway.ports import Edge, EdgeState
from slipway.release import deploys
from slipway.release.deploys import PROGRESS_EVERY, Ports
from slipway.release.outcome import Outcome, Result
from slipway.release.takeover import Order
from slipway.text import short

_JUDGED = ("canary", "baking")


def run(order: Order, ports: Ports, edge: Edge) -> Outcome:
    """Leave the order at the edge and wait until the release has ended. Raises ``Refused``.

    The order moves nobody: the controller reads it at its next look, and goes on only where that
    look speaks for the candidate. All other checks of the release stay.
    """
    state = edge.state()
    release = state.lease_release
    if release is None or state.phase not in _JUDGED or state.release != release:
        raise Refused(
            f"no canary is being judged ({state.why})",
            remedy="There must be a release in its canary or bake. A rolling release has everybody "
            "on the new build already; its watch ends by itself.",
        )
    edge.promote(release, order.actor, order.reason)
    ports.journal.gate(f"{order.actor} asked release {release} to promote now: {order.reason}")
    ended = _ended(order, ports, edge, release)
    latest = ports.platform.deploys(order.stable)
    live = deploys.live(latest)
    stays = live is not None and live.identity == state.candidate
    # A way back may be under way while the candidate is still live: the record says how it ended.
    promoted = ended.phase == "stable" and ended.killed != release
    if live is None or not stays or not promoted or any(d.status.running for d in latest):
        return Outcome(
            result=Result.ABORTED,
            reason=f"release {release} ended without promoting {short(state.candidate or '')}: "
            f"{ended.why}",
            remedy="Its own run says why.",
            release_id=release,
            deploy_id=live.id if live else "",
            build=(live.identity or "") if live else "",
            share=ended.share,
        )
    return Outcome(
        result=Result.PROMOTED,
        reason=f"{order.actor} promoted {short(state.candidate or '')} now: {order.reason}",
        release_id=release,
        deploy_id=live.id,
        build=live.identity or "",
        share=ended.share,
    )


def _ended(order: Order, ports: Ports, edge: Edge, release: str) -> EdgeState:
    """Wait until nobody holds the lease for that release any more."""
    deadline = 2 * order.settings.strategy.deploy_deadline
    began = ports.clock.monotonic()
    shown = began
    while True:
        ports.clock.sleep(ports.poll)
        now = ports.clock.monotonic()
        try:
            state = edge.state()
        except OutsideError as error:
            ports.journal.trouble(f"reading the edge: {error.found}")
        else:
            if state.lease_release != release:
                return state
            if now - shown >= PROGRESS_EVERY:
                ports.journal.note(f"{release} is in {state.phase}, at {state.share:g} %")
                shown = now
        if now - began >= deadline:
            raise OutsideError(
                f"release {release} had not ended after {deadline:.0f} s",
                remedy="It has been asked and goes on by itself: look at its run.",
            )
