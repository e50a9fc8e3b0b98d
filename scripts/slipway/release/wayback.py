"""The way back of a canary release, from wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from slipway.errors import Inconsistent, OutsideError, SlipwayError
from slipway.ports import Deploy, Phase, Service
from slipway.release import deploys, pressing
from slipway.release.deploys import Ports
from slipway.release.goback import Theirs, go_back
from slipway.release.outcome import Outcome, Result
from slipway.release.patience import patiently
from slipway.release.preflight import Before, Plan
from slipway.release.stop import DEADLINE, HURRIED, Zero
from slipway.release.traffic import Traffic
from slipway.release.undoing import Undo, Was


class WayBack:
    """Knows what has been touched, and puts it back. Never raises for what the outside does."""

    def __init__(
        self, plan: Plan, ports: Ports, traffic: Traffic, before: Before, undo: Undo
    ) -> None:
        self._undo = undo
        self._plan = plan
        self._ports = ports
        self._traffic = traffic
        self._before = before
        self.canary_touched = False
        self.stable_touched = False
        self.scaled = False
        self.deploys: set[str] = set()
        """Ids of the deploys this release started or adopted."""
        self._stuck: SlipwayError | None = None
        """Why the stable service could not be put back."""
        self._arrived: Deploy | None = None
        """What two readings have confirmed on the stable service."""
        self._silent = False
        """Whether Render did not answer: what can wait until it does is left then."""

    def go(self, result: Result, error: SlipwayError, *, hurry: bool = False) -> Outcome:
        """Everybody back on the build before; then leave both services as they were.

        The stable service is put back only from a build that was judged bad: one that is settling
        has passed, and may stay where the release was merely stopped. ``hurry``: the process is
        about to be killed, so nothing is waited for.
        """
        reason, remedy = error.found, error.remedy
        began = self._ports.clock.monotonic()
        zero = self._traffic.to_zero(reason)
        self._ports.journal.note(f"going back: {reason}")
        if hurry:
            return self._hurry(reason, remedy, zero)
        with self._ports.clock.shielded():
            serving = self._stable(result)
            confirmed = self._ports.clock.monotonic() - began if self._arrived else None
            cancelled = not self.canary_touched or self._cancel_ours(self._plan.canary)
            # Everybody is safe; the slower of edge and PostHog decides what else may be done.
            zero.wait(DEADLINE)
            # Before the record says that nothing is left to do; not while sellers may be on it.
            scaled_back = self.scale_canary_back() if zero.edge is None else not self.scaled
            in_order = cancelled and scaled_back
            # Maintenance mode explains answers, and no rows.
            excusable = result is Result.ROLLED_BACK and not isinstance(error, Inconsistent)
            if excusable and not self.stable_touched and not self._silent:
                found = self._maintenance()
                if found is not None:
                    result, remedy = Result.HELD, "Turn it off at Render, then release again."
                    reason = f"{reason}; but {found}, so the build is not blamed"
            outcome = self._outcome(result, reason, remedy, zero, serving)
            outcome = replace(outcome, seconds_to_old_code=self._old_code(zero, serving, confirmed))
            outcome = self._undo_data(outcome, error, zero)
            if serving is None:
                self._traffic.close(zero, self._before.live, phase=Phase.FROZEN)
            elif in_order:
                self._traffic.close(zero, serving)
            else:
                left = "the canary service is not as it was yet: run Reconcile"
                outcome = replace(outcome, reason=f"{outcome.reason}; {left}")
                self._traffic.close(zero, serving, phase=Phase.ROLLING_BACK)
        if zero.edge is None and in_order and not self._silent:
            # Nobody waits for this, so it may be cancelled; but the outcome is told after it.
            self._restore_canary()
        return outcome

    def _old_code(
        self, zero: Zero, serving: Deploy | None, confirmed: float | None
    ) -> float | None:
        """Return the seconds until all that serves was known to be the old code."""
        old = serving is not None and serving.identity == self._before.live.identity
        if zero.seconds is None or not old:
            return None
        if not self.stable_touched:
            return zero.seconds
        return None if confirmed is None else max(zero.seconds, confirmed)

    def _stable(self, result: Result) -> Deploy | None:
        """Put the stable service in order; return what it runs, ``None``: that is not as it must
        be, or not known."""
        candidate, before = self._plan.artifact.identity, self._before.live
        if not self.stable_touched:
            return self._serving() or before
        deadline = self._plan.settings.strategy.deploy_deadline
        if result is Result.ROLLED_BACK:
            if not self._restore(self._before.stable, before):
                return None
            serving = self._serving() or self._arrived
            # What is left to somebody else's deploy, which may fail, is not gone back from yet.
            return serving if serving and serving.identity != candidate else None
        what = f"ending what goes to {self._before.stable.name}"
        try:
            return patiently(self._ports, what, self._as_it_is, deadline=deadline)
        except SlipwayError as error:
            self._stuck, self._silent = error, True
            return None

    def _as_it_is(self) -> Deploy | None:
        """Cancel the candidate's deploy; return what the stable service runs then."""
        stable = self._plan.stable
        deploys.cancel_running(
            self._ports, stable, only=self._plan.artifact.identity, ids=self.deploys
        )
        return deploys.live(self._ports.platform.deploys(stable))

    def _undo_data(self, outcome: Outcome, error: SlipwayError, zero: Zero) -> Outcome:
        """Data and migrations, once the code is back: what new code uses is not taken from it."""
        if isinstance(error, Inconsistent) and outcome.result is Result.ROLLED_BACK:
            self._restore_canary()
        before = self._before
        was = [
            Was(service=before.canary, live=before.canary_live),
            Was(service=before.stable, live=before.live),
        ]
        share = 0.0 if zero.edge is None else None
        pulse = self._traffic.lease.hold_on
        return self._undo.after(outcome, error, was, share=share, pulse=pulse)

    def _restore_canary(self) -> None:
        """Put the canary service back, once, where it was touched."""
        if self.canary_touched and self._before.canary_live:
            self.canary_touched = False
            self._restore(self._before.canary, self._before.canary_live)

    def _hurry(self, reason: str, remedy: str | None, zero: Zero) -> Outcome:
        """The process is about to be killed: ask for what can be asked for, and wait for little."""
        touched = {
            self._plan.canary: self.canary_touched,
            self._plan.stable: self.stable_touched,
        }
        tasks = [
            self._traffic.start(partial(self._hurriedly_cancel, service_id))
            for service_id, ours in touched.items()
            if ours
        ]
        for task in tasks:
            task.wait(HURRIED / 2)
        with self._ports.clock.shielded():
            known = None if self.stable_touched else self._before.live
            self._traffic.close(zero, known, hurry=True)
        outcome = self._outcome(Result.ABORTED, reason, remedy, zero, self._before.live)
        outcome = self._undo.stay(outcome)
        # There is no time to ask which build the stable service has by now.
        return replace(outcome, build="", deploy_id="") if self.stable_touched else outcome

    def _hurriedly_cancel(self, service_id: str) -> None:
        self._cancel_ours(service_id)

    def _maintenance(self) -> str | None:
        """Return which service answers everybody with Render's own 503, if one does."""
        for service in (self._before.canary, self._before.stable):
            try:
                if self._ports.platform.service(service.id).maintenance:
                    return f"{service.name} is in maintenance mode at Render"
            except SlipwayError as error:
                self._ports.journal.trouble(f"reading {service.name}: {error.found}")
        return None

    def _serving(self) -> Deploy | None:
        """Return what the stable service runs now: somebody may have deployed it meanwhile."""
        try:
            return deploys.live(self._ports.platform.deploys(self._plan.stable))
        except SlipwayError as error:
            self._ports.journal.trouble(f"reading the stable service: {error.found}")
            self._silent = True
            return None

    def scale_canary_back(self) -> bool:
        """Give the canary service the instance count it had. Return whether it has it."""
        if not self.scaled:
            return True
        canary = self._before.canary
        what = "scaling the canary service back"
        scale = partial(self._ports.platform.scale, canary.id, canary.instances)
        return self._attempt(what, lambda: self._ports.persist(what, scale))

    def _cancel_ours(self, service_id: str) -> bool:
        """Cancel the candidate's deploys; another one may be a person's way back. Return whether
        none is left."""
        candidate = self._plan.artifact.identity
        return self._attempt(
            f"cancelling deploys on {service_id}",
            lambda: deploys.cancel_running(
                self._ports, service_id, only=candidate, ids=self.deploys
            ),
        )

    def _restore(self, service: Service, target: Deploy) -> bool:
        """Put a service back; what somebody else deploys there is left to them."""
        try:
            arrived = go_back(
                self._ports,
                service.id,
                target,
                image_backed=service.image_backed,
                deadline=self._plan.settings.strategy.deploy_deadline,
                only={self._plan.artifact.identity, *self.deploys},
                pulse=self._traffic.lease.hold_on,
            )
        except Theirs as error:
            self._ports.journal.trouble(f"{error.found}: it is left to them")
        except SlipwayError as error:
            self._ports.journal.trouble(f"putting {service.name} back: {error.found}")
            if service.id == self._plan.stable:
                self._stuck = error
            self._silent = self._silent or isinstance(error, OutsideError)
            return False
        else:
            if service.id == self._plan.stable:
                self._arrived = arrived
        return True

    def _attempt(self, what: str, act: Callable[[], object]) -> bool:
        """Do something that must not stop the way back; say so where it fails."""
        try:
            act()
        except SlipwayError as error:
            self._ports.journal.trouble(f"{what}: {error.found}")
            return False
        return True

    def _outcome(
        self,
        result: Result,
        reason: str,
        remedy: str | None,
        zero: Zero,
        serving: Deploy | None,
    ) -> Outcome:
        before = self._before.live
        if zero.trouble:
            reason = f"{reason} ({zero.trouble})"
        if serving is None:
            why = f": {self._stuck.found}" if self._stuck else ""
            reason = f"{reason}; and the stable service could not be put back{why}"
        bad = False
        if not zero.safe or serving is None:
            bad = result is Result.ROLLED_BACK
            result = Result.FROZEN
            remedy = self._remedy(zero, serving)
        return Outcome(
            result=result,
            reason=reason,
            remedy=remedy,
            release_id=self._plan.release,
            deploy_id=serving.id if serving else "",
            build=(serving.identity or "") if serving else "",
            previous_build=before.identity or "",
            share=0.0 if zero.edge is None else None,
            seconds_to_zero=zero.seconds,
            bad=bad,
        )

    def _remedy(self, zero: Zero, serving: Deploy | None) -> str:
        """Say exactly what a person does now."""
        orders = []
        if serving is None:
            stable, before = self._before.stable, self._before.live
            never = {self._plan.artifact.identity}
            orders.append(pressing.instead(self._ports, stable, before, self._stuck, never=never))
        if not zero.safe:
            flag = self._plan.settings.edge.flag if self._plan.settings.edge else "release"
            orders.append(f"turn the flag {flag} off in PostHog")
        then = " Then run Reconcile: it goes on from here." if serving is None else ""
        return f"Now: {', and '.join(orders)}.{then}"
