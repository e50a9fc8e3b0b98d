"""One look at a candidate: what the edge does, what a probe sees, what the counts say."""

from __future__ import annotations

import math
from collections.abc import Callable

from slipway.config import Judge, Step
from slipway.errors import Aborted, OutsideError, SlipwayError, Tripped
from slipway.judge.split import NOTHING, Decision, Rule, Verdict, Window, judge
from slipway.ports import Clock, EdgeCounts
from slipway.release.health import HealthGuard
from slipway.release.journal import Journal
from slipway.release.traffic import Traffic

Trip = Callable[[SlipwayError], None]
"""What is done with the reason to end a release: raised, or noted where it is only observed."""


def raised(error: SlipwayError) -> None:
    """End it."""
    raise error


_SHOWN = {
    Decision.ROLLBACK: "roll back",
    Decision.HOLD: "wait",
    Decision.PROMOTE: "good so far",
}


class Look:
    """One look: the edge does what was set, the probe is answered, the counts are judged."""

    def __init__(
        self,
        step: Step,
        rule: Judge,
        *,
        traffic: Traffic,
        guard: HealthGuard,
        journal: Journal,
        trip: Trip = raised,
    ) -> None:
        self._rule = Rule(
            ratio=rule.ratio,
            alpha=rule.alpha,
            looks=max(1, math.ceil(step.for_ / rule.every)),
            min_errors=rule.min_errors,
            min_requests=rule.min_requests,
        )
        self._share = step.share
        self._traffic = traffic
        self._guard = guard
        self._journal = journal
        self._trip = trip
        self._window = self._begin()
        self._stable = self._canary = NOTHING

    def _begin(self) -> Window | None:
        """Start counting, or at the first look at which the edge answers."""
        try:
            now = self._traffic.edge.counts()
            return None if now.missing else Window(now)
        except OutsideError as error:
            self._journal.trouble(f"no counts yet: {error.found}")
            return None

    def __call__(self) -> Verdict:
        """Look once. Raises :class:`Tripped` when the candidate is bad."""
        self._traffic.check()
        unhealthy = self._guard.look()
        if unhealthy:
            self._trip(Tripped(unhealthy))
        try:
            now = self._traffic.edge.counts()
        except OutsideError as error:
            verdict = Verdict(decision=Decision.HOLD, sentence=f"no counts: {error.found}")
        else:
            verdict = self._judged(now)
        self._journal.tick(
            f"{_SHOWN[verdict.decision]}: {verdict.sentence}",
            share=self._share,
            stable=self._stable,
            canary=self._canary,
        )
        if verdict.decision is Decision.ROLLBACK:
            self._trip(Tripped(verdict.sentence))
        return verdict

    def _judged(self, now: EdgeCounts) -> Verdict:
        if now.missing:
            silent = ", ".join(now.missing)
            sentence = f"a partial count decides nothing: no answer from {silent}"
            return Verdict(decision=Decision.HOLD, sentence=sentence)
        self._window = self._window or Window(now)
        self._stable, self._canary = self._window.add(now)
        return judge(self._canary, self._stable, self._rule)

    def undecided(self, verdict: Verdict) -> Exception:
        """Return what to raise when a step ends, extended, without a verdict."""
        if self._canary.requests == 0 and self._stable.requests > 0:
            return Tripped(
                f"no request reached the candidate at {self._share:g} % while the stable track "
                f"had {self._stable.requests}: the routing is at fault"
            )
        return Aborted(
            f"there was too little to judge by, even after extending the step: {verdict.sentence}",
            remedy="Release when there is traffic, lengthen the step, raise its share, or lower "
            "`strategy.judge.min-requests`.",
        )


def every(
    seconds: float, clock: Clock, look: Look, keep_alive: Callable[[], None]
) -> Callable[[], None]:
    """Return a pulse for waits: keeps the lease alive, and looks once in ``seconds``."""
    last = clock.monotonic()

    def pulse() -> None:
        nonlocal last
        keep_alive()
        if clock.monotonic() - last >= seconds:
            last = clock.monotonic()
            look()

    return pulse
