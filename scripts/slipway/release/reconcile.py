"""reconcile: put in order what a release that died left behind, or see that there is nothing.

Run by ``finalize``, a job of its own after each release; by a schedule or a person at any time; and
a release begins with the same. Safe to run again, and beside a release that is alive.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.errors import LeaseTaken, Refused, SlipwayError
from slipway.ports import Deploy, EdgeState, Holder, Phase, Record
from slipway.release import deploys
from slipway.release.deploys import Ports
from slipway.release.leftover import how
from slipway.release.outcome import Outcome, Result
from slipway.release.pressing import rollback_at_render
from slipway.release.recovery import Place, recover, vouched
from slipway.release.traffic import Traffic
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Place):
    """What is to be put in order, and by whom."""

    release: str
    """Id of this run, as a release has one."""
    holder: Holder
    finalize: bool = False
    """Whether the release of this very workflow run has ended: nothing of it is waited for."""


def run(plan: Plan, ports: Ports, traffic: Traffic) -> Outcome:
    """End or finish what is left. Raises only while nothing has been changed."""
    state = traffic.look()
    if state.lease_remaining > 0 and state.lease_release is not None:
        if not (plan.finalize and _same_run(state, plan.holder)):
            return _alive(plan, ports, state)
        # Latched, so that a runner that GitHub took for dead stops where it is.
        traffic.past.kill_at_edge(state.lease_release, "its job has ended")
    left = traffic.past.left(state.killed)
    if left is None:
        return _nothing_left(plan, ports, traffic)
    try:
        with traffic.lease.held():
            done = recover(left, plan, ports, traffic)
    except SlipwayError as error:
        return Outcome(
            result=Result.ABORTED if isinstance(error, LeaseTaken) else Result.FROZEN,
            reason=f"release {left.record.release} {how(left.record.phase)}, and what it left "
            f"is not in order yet: {error.found}",
            remedy=f"{error.remedy} Then run reconcile again: it goes on from here."
            + _by_hand(left.record, plan),
            release_id=plan.release,
        )
    ports.journal.gate(done.sentence)
    return Outcome(
        result=Result.PROMOTED if done.finished else Result.ABORTED,
        reason=done.sentence,
        remedy=None if done.finished else _after(left.record),
        release_id=plan.release,
        deploy_id=done.serving.id,
        build=done.serving.identity or "",
        previous_build=left.record.stable_build,
        share=0.0,
        mended=True,
    )


def _after(record: Record) -> str:
    """Return what to do with a build whose release was ended here."""
    if record.phase not in (Phase.ROLLING_BACK, Phase.FROZEN):
        return "Release it again: the build was not judged bad."
    return (
        "It was being gone back from when its run died: see in the log of that run why, before it "
        "is released again. Migrations that it applied are still there."
    )


def _by_hand(record: Record, plan: Plan) -> str:
    """Return what a person presses meanwhile, where the stable service may run a bad build."""
    if record.phase not in (Phase.ROLLING_BACK, Phase.FROZEN):
        return ""
    press = rollback_at_render(plan.stable, record.stable_deploy, record.stable_build)
    return f" Where that cannot wait, {press}."


def _same_run(state: EdgeState, holder: Holder) -> bool:
    return state.lease_holder is not None and state.lease_holder.run_id == holder.run_id


def _alive(plan: Plan, ports: Ports, state: EdgeState) -> Outcome:
    live = _live(plan, ports)
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"release {state.lease_release} holds the edge for another "
        f"{state.lease_remaining:.0f} s: it is alive, or the edge ends it by then",
        release_id=plan.release,
        deploy_id=live.id,
        build=live.identity or "",
        share=state.share,
    )


def _nothing_left(plan: Plan, ports: Ports, traffic: Traffic) -> Outcome:
    """No release was left half done; see that record and ledger name what serves."""
    live = _live(plan, ports)
    reason = f"nothing is left of any release: everybody is on {short(live.identity or live.id)}"
    if not vouched(live, plan, ports, traffic):
        with traffic.lease.held():
            traffic.past.conclude(live, vouched=False)
        reason += "; the record says so now"
    return Outcome(
        result=Result.UNCHANGED,
        reason=reason,
        release_id=plan.release,
        deploy_id=live.id,
        build=live.identity or "",
        share=0.0,
    )


def _live(plan: Plan, ports: Ports) -> Deploy:
    live = deploys.live(ports.platform.deploys(plan.stable))
    if live is None:
        raise Refused(
            f"{plan.stable} has no live deploy", remedy="Deploy the stable service at Render."
        )
    return live
