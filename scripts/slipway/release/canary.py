"""canary-prod: a few sellers first, then everybody at the edge, with the old build warm.

Until ``settling`` begins the way back is one step at the edge. From then on every build that
serves has passed, and the stable service is put back by digest or deploy id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from slipway.config import Step
from slipway.errors import (
    Aborted,
    Cancelled,
    DeployFailed,
    Held,
    LeaseTaken,
    OutsideError,
    SlipwayError,
    Tripped,
)
from slipway.ports import Phase, Service
from slipway.release import bug, deploys, webhook
from slipway.release.deploys import Ports
from slipway.release.fitting import instances_of, scale
from slipway.release.guarding import guards_of
from slipway.release.happenings import Happenings
from slipway.release.health import await_build, url_of
from slipway.release.judging import judged
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Before, Plan, preflight
from slipway.release.recovery import Place, clear
from slipway.release.stepping import Stepping
from slipway.release.traffic import Traffic
from slipway.release.undoing import Undo
from slipway.release.watch import Watch, every
from slipway.release.wayback import WayBack


def run(plan: Plan, ports: Ports, traffic: Traffic) -> Outcome:
    """Release ``plan.artifact``. Raises only while nothing has been changed yet."""
    clear(_place(plan), ports, traffic)
    before = preflight(plan, ports, traffic)
    if before.live.identity == plan.artifact.identity:
        return Outcome(
            result=Result.UNCHANGED,
            reason=f"{before.stable.name} already runs this build (deploy {before.live.id})",
            release_id=plan.release,
            deploy_id=before.live.id,
            build=before.live.identity,
            share=0.0,
        )
    undo = Undo(ports, plan.settings, plan.artifact.identity)
    undo.check()
    traffic.begin(before.live, canary_instances=before.canary.instances)
    return _there_or_back(_Release(plan, ports, traffic, before, undo))


def check(plan: Plan, ports: Ports, traffic: Traffic) -> None:
    """Raise what a release would begin with. Changes nothing."""
    traffic.await_free()
    left = traffic.past.left(traffic.look().killed)
    if left is None:
        preflight(plan, ports, traffic)
        Undo(ports, plan.settings, plan.artifact.identity).check()
    else:
        ports.journal.note(f"release {left.record.release} died: what it left is ended first")


def _place(plan: Plan) -> Place:
    return Place(settings=plan.settings, stable=plan.stable, canary=plan.canary)


def _there_or_back(release: _Release) -> Outcome:
    """Go forwards; whatever stops it decides how far back."""
    try:
        return release.forwards()
    except LeaseTaken as error:
        # Whatever runs now is another release's: nothing is ours to put back.
        return release.left_to_another(error)
    except SlipwayError as error:
        return release.back.go(_result_of(error), error, hurry=isinstance(error, Cancelled))
    except Exception as error:
        return release.back.go(Result.ABORTED, bug.aborted(error, release.journal))


def _result_of(error: SlipwayError) -> Result:
    if isinstance(error, Tripped | DeployFailed):
        return Result.ROLLED_BACK
    return Result.HELD if isinstance(error, Held) else Result.ABORTED


class _Release:
    """The way forwards, step by step. Whatever stops it is raised."""

    def __init__(
        self, plan: Plan, ports: Ports, traffic: Traffic, before: Before, undo: Undo
    ) -> None:
        self._undo = undo
        self._plan = plan
        self._ports = ports
        self._traffic = traffic
        self._before = before
        self.back = WayBack(plan, ports, traffic, before, undo)
        self.journal = ports.journal
        self._strategy = plan.settings.strategy
        self._notices: list[str] = []
        """What a step passed without having seen."""
        self._happenings = [Happenings(ports, s) for s in (before.canary, before.stable)]

    def forwards(self) -> Outcome:
        """All the way to everybody."""
        both = (self._before.canary, self._before.stable)
        self._undo.expand(both, self._traffic.lease.keep_alive)
        self.back.canary_touched = True
        self._deploy(self._before.canary, pulse=self._traffic.lease.keep_alive)
        self._require_webhook()
        steps = (*self._strategy.steps, self._strategy.bake)
        watch = Watch(
            judged(self._plan, self._ports, self._traffic.edge, self._before, steps),
            self._strategy.judge,
            traffic=self._traffic,
            guards=guards_of(
                self._ports,
                self._plan.settings,
                [url_of(self._before.canary, self._plan.settings.health)],
                self._plan.artifact.commit,
                data=self._undo.checks,
                release=self._plan.release,
                service=self._plan.canary,
            ),
            journal=self.journal,
            clock=self._ports.clock,
            trip=self._ports.trip,
            log=self._ports.log,
            hindrance=self._hindrance,
        )
        stepping = Stepping(self._ports, self._traffic, watch, self._strategy, self._happen)
        for number, step in enumerate(self._strategy.steps):
            self._set(Phase.CANARY, step, f"{step.share:g} % of the sellers are on the candidate")
            watch.begin(number, Phase.CANARY)
            stepping.judge(step)
        self._fit_canary(self._watching(watch))
        bake = self._strategy.bake
        text = (
            f"promoted at the edge: {bake.share:g} % are on the candidate, "
            "and the old build stays warm"
        )
        self._set(Phase.BAKING, bake, text)
        watch.begin(len(steps) - 1, Phase.BAKING)
        stepping.judge(bake)
        self._notices = stepping.notices
        return self._settle(watch)

    def _set(self, phase: Phase, step: Step, text: str) -> None:
        self._see_stable_is_as_it_was()
        self._traffic.set(phase, step.share, text)

    def _happen(self) -> None:
        for happenings in self._happenings:
            happenings.look()

    def _fit_canary(self, pulse: Callable[[], None]) -> None:
        """Give the canary service as many instances as the stable one."""
        canary = self._before.canary
        wanted = instances_of(self._before.stable, self._ports)
        if canary.instances >= wanted:
            return
        self.back.scaled = True
        self._traffic.lease.keep_alive()
        deadline = self._strategy.deploy_deadline
        scale(canary, wanted, self._ports, deadline=deadline, pulse=pulse)
        self._await_answers(canary, pulse=pulse, instances=wanted)

    def _require_webhook(self) -> None:
        webhook.require(
            self._ports,
            self._plan.settings,
            url_of(self._before.canary, self._plan.settings.health),
            build=self._plan.artifact.commit,
            release=self._plan.release,
            pulse=self._traffic.lease.keep_alive,
        )

    def _hindrance(self) -> str | None:
        return next((h.hindrance for h in self._happenings if h.hindrance), None)

    def left_to_another(self, error: SlipwayError) -> Outcome:
        """Another release holds the edge: say so, and touch nothing."""
        return Outcome(
            result=Result.ABORTED,
            reason=error.found,
            remedy=error.remedy,
            release_id=self._plan.release,
            previous_build=self._before.live.identity or "",
        )

    def _watching(self, watch: Watch) -> Callable[[], None]:
        clock = self._ports.clock
        return every(self._strategy.judge.every, clock, watch, self._traffic.lease.keep_alive)

    def _deploy(self, service: Service, *, pulse: Callable[[], None], shared: bool = False) -> str:
        """Bring the candidate live on a service and see it answer as itself; return the deploy."""
        deploy = deploys.bring_live(
            self._ports,
            service.id,
            self._plan.artifact,
            deadline=self._strategy.deploy_deadline,
            shared=shared,
            pulse=pulse,
            ours=self.back.deploys,
        )
        self._await_answers(service, pulse=pulse, instances=service.instances)
        return deploy.id

    def _await_answers(
        self, service: Service, *, pulse: Callable[[], None], instances: int
    ) -> None:
        await_build(
            self._ports,
            url_of(service, self._plan.settings.health),
            build=self._plan.artifact.commit,
            health=self._plan.settings.health,
            instances=instances,
            pulse=pulse,
        )

    def _settle(self, watch: Watch) -> Outcome:
        """Put the build on the stable service; only then is 100 % everywhere."""
        self._see_stable_is_as_it_was()
        text = "the same build goes to the stable service"
        self._traffic.set(Phase.SETTLING, self._strategy.bake.share, text)
        self.back.stable_touched = True
        pulse = self._watching(watch)
        deploy_id = self._deploy(self._before.stable, pulse=pulse, shared=True)
        watch()
        self._see_data_once_more(pulse)
        self._see_it_stayed()
        return self._conclude(deploy_id)

    def _see_data_once_more(self, pulse: Callable[[], None]) -> None:
        """The last look may be older than the deploy. What cannot be said now is told: it could
        before, and everybody is on the candidate. Raises :class:`Inconsistent`."""
        try:
            self._undo.checks.require(pulse)
        except Held as error:
            self.journal.trouble(error.found)
            self._notices.append(f"at the end {error.found}")

    def _see_stable_is_as_it_was(self) -> None:
        """What serves beside the candidate must be what it is compared with, and goes back to."""
        live = deploys.live(self._ports.platform.deploys(self._plan.stable))
        if live is None or live.id != self._before.live.id:
            raise Aborted(
                f"somebody else deployed the stable service during this release "
                f"({live.id if live else 'nothing is live'})",
                remedy="What they deployed stays. Look at the service's Events at Render.",
            )

    def _see_it_stayed(self) -> None:
        """Read the stable service once more: somebody may be taking the candidate down."""
        latest = self._ports.persist(
            "reading the stable service", lambda: self._ports.platform.deploys(self._plan.stable)
        )
        live = deploys.live(latest)
        others = [d.id for d in latest if d.status.running]
        if live is None or live.identity != self._plan.artifact.identity or others:
            raise Aborted(
                f"somebody else deployed the stable service meanwhile ({', '.join(others)})",
                remedy="What they deployed stays. Look at the service's Events at Render.",
            )

    def _conclude(self, deploy_id: str) -> Outcome:
        """Every instance runs the candidate and nobody objects: an outage now changes nothing."""
        build = self._plan.artifact.identity
        nothing = "everybody is on the candidate; nothing spoke against it in any phase"
        reason = "; ".join([nothing, *self._notices])
        zero = None
        try:
            self._traffic.finish(
                deploy_id,
                "everybody is on the candidate, on the stable service",
                vouched=not self.journal.would_have,
            )
        except OutsideError as error:
            live = replace(self._before.live, id=deploy_id, identity=build)
            zero = self._traffic.to_zero(f"the release is over, and {error.found}", settled=live)
            self._traffic.close(zero, live)
            reason = f"{reason}; closing the record: {error.found}"
        frozen = zero is not None and not zero.safe
        confirmed = zero is None or zero.edge is None
        with self._ports.clock.shielded():
            if not (self.back.scale_canary_back() if confirmed else not self.back.scaled):
                canary = self._before.canary
                reason = f"{reason}; scale {canary.name} back to {canary.instances} at Render"
        return Outcome(
            result=Result.FROZEN if frozen else Result.PROMOTED,
            reason=reason,
            remedy="Turn the release flag off in PostHog: the canary service still gets traffic."
            if frozen
            else None,
            release_id=self._plan.release,
            deploy_id=deploy_id,
            build=build,
            previous_build=self._before.live.identity or "",
            share=0.0 if confirmed else None,
        )
