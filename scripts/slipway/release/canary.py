"""canary-prod: a few sellers first, then everybody at the edge, with the old build warm.

Until ``settling`` begins the way back is one step at the edge. From then on every build that
serves has passed, and the stable service is put back by digest or deploy id.
"""

from __future__ import annotations

from collections.abc import Callable

from slipway.config import Step
from slipway.errors import Aborted, Cancelled, DeployFailed, SlipwayError
from slipway.judge.threshold import Decision, Verdict
from slipway.ports import Phase, Service
from slipway.release import deploys
from slipway.release.deploys import Ports
from slipway.release.health import HealthGuard, await_build, url_of
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Before, Plan, preflight
from slipway.release.traffic import Traffic
from slipway.release.watch import Look, Tripped
from slipway.release.wayback import WayBack


def run(plan: Plan, ports: Ports, traffic: Traffic) -> Outcome:
    """Release ``plan.artifact``. Raises only while nothing has been changed yet."""
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
    traffic.begin(before.live)
    back = WayBack(plan, ports, traffic, before)
    try:
        return _Release(plan, ports, traffic, before, back).forwards()
    except Tripped as error:
        remedy = "Read the candidate's log at Render, mend it, and merge a fix."
        return back.go(Result.ROLLED_BACK, str(error), remedy)
    except DeployFailed as error:
        return back.go(Result.ROLLED_BACK, error.found, error.remedy)
    except Cancelled as error:
        return back.go(Result.ABORTED, error.found, error.remedy, hurry=True)
    except SlipwayError as error:
        return back.go(Result.ABORTED, error.found, error.remedy)
    except Exception as error:
        back.go(Result.ABORTED, f"internal error: {type(error).__name__}", None)
        raise


class _Release:
    """The way forwards, step by step. Whatever stops it is raised."""

    def __init__(
        self, plan: Plan, ports: Ports, traffic: Traffic, before: Before, back: WayBack
    ) -> None:
        self._plan = plan
        self._ports = ports
        self._traffic = traffic
        self._before = before
        self._back = back
        self._strategy = plan.settings.strategy

    def forwards(self) -> Outcome:
        """All the way to everybody."""
        self._back.canary_touched = True
        self._deploy(self._before.canary, pulse=self._traffic.keep_alive)
        guard = HealthGuard(
            self._ports.prober,
            url_of(self._before.canary, self._plan.settings.health),
            self._plan.settings.health,
        )
        for step in self._strategy.steps:
            text = f"{step.share:g} % of the sellers are on the candidate"
            self._judge(Phase.CANARY, step, text, guard)
        self._fit_canary()
        bake = self._strategy.bake
        text = (
            f"promoted at the edge: {bake.share:g} % are on the candidate, "
            "and the old build stays warm"
        )
        look = self._judge(Phase.BAKING, bake, text, guard)
        return self._settle(look)

    def _deploy(
        self, service: Service, *, pulse: Callable[[], None], instances: int | None = None
    ) -> str:
        """Bring the candidate live on a service and see it answer as itself; return the deploy."""
        deploy = deploys.bring_live(
            self._ports,
            service.id,
            self._plan.artifact,
            deadline=self._strategy.deploy_deadline,
            pulse=pulse,
        )
        self._await_answers(service, pulse=pulse, instances=instances or service.instances)
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

    def _judge(self, phase: Phase, step: Step, text: str, guard: HealthGuard) -> Look:
        """Set the share and watch it for the step's time; return the look for later phases."""
        self._traffic.set(phase, step.share, text)
        look = Look(
            self._strategy.judge,
            step.share,
            traffic=self._traffic,
            guard=guard,
            journal=self._ports.journal,
        )
        clock = self._ports.clock
        until = clock.monotonic() + step.for_
        extended = False
        while True:
            clock.sleep(min(self._strategy.judge.every, step.for_))
            verdict = look()
            if clock.monotonic() < until:
                continue
            if verdict.decision is Decision.PROMOTE:
                return look
            if extended:
                raise look.undecided(verdict)
            extended = True
            until = clock.monotonic() + step.for_
            self._ports.journal.note(f"the step is extended once: {verdict.sentence}")

    def _fit_canary(self) -> None:
        """Give the canary service as many instances as the stable one, before it takes the load."""
        wanted = self._before.stable.instances
        if self._before.canary.instances >= wanted:
            return
        self._back.scaled = True
        self._ports.platform.scale(self._plan.canary, wanted)
        until = self._ports.clock.monotonic() + self._strategy.deploy_deadline
        while (have := len(self._ports.platform.instances(self._plan.canary))) < wanted:
            if self._ports.clock.monotonic() >= until:
                raise Aborted(
                    f"the canary service has {have} of {wanted} instances after "
                    f"{self._strategy.deploy_deadline:.0f} s",
                    remedy="Give the canary service the plan of the stable one, and turn its "
                    "autoscaling off: Render ignores a scale request while it is on.",
                )
            self._ports.clock.sleep(self._ports.poll)
            self._traffic.check()
        self._ports.journal.gate(f"the canary service has {have} instances, as the stable one")
        self._await_answers(self._before.canary, pulse=self._traffic.check, instances=wanted)

    def _settle(self, look: Callable[[], Verdict]) -> Outcome:
        """Put the build on the stable service; only then is 100 % everywhere."""
        every = self._strategy.judge.every
        clock = self._ports.clock
        last = clock.monotonic()

        def watch() -> None:
            nonlocal last
            self._traffic.keep_alive()
            if clock.monotonic() - last >= every:
                last = clock.monotonic()
                look()

        text = "the same build goes to the stable service"
        self._traffic.set(Phase.SETTLING, self._strategy.bake.share, text)
        self._back.stable_touched = True
        deploy_id = self._deploy(self._before.stable, pulse=watch)
        return self._conclude(deploy_id)

    def _conclude(self, deploy_id: str) -> Outcome:
        """Every instance runs the candidate: whatever fails now, it stays."""
        build = self._plan.artifact.identity
        trouble = ""
        frozen = False
        try:
            self._traffic.finish(deploy_id, "everybody is on the candidate, on the stable service")
        except SlipwayError as error:
            zero = self._traffic.to_zero(f"the release is over, and {error.found}")
            frozen = not zero.safe
            trouble = f"; closing the record: {error.found}"
            self._traffic.settle_record(build, deploy_id)
        with self._ports.clock.shielded():
            self._back.scale_canary_back()
        return Outcome(
            result=Result.FROZEN if frozen else Result.PROMOTED,
            reason=f"everybody is on the candidate; nothing spoke against it in any phase{trouble}",
            remedy="Set the release flag to 0 % in PostHog: the canary service still gets traffic."
            if frozen
            else None,
            release_id=self._plan.release,
            deploy_id=deploy_id,
            build=build,
            previous_build=self._before.live.identity or "",
            share=None if frozen else 0.0,
        )
