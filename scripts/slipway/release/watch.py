"""One look at a candidate: what the edge does, what a probe sees, what the counts say."""

from __future__ import annotations

from slipway.config import Judge
from slipway.errors import Aborted, OutsideError
from slipway.judge.threshold import NOTHING, Decision, Rule, Verdict, Window, judge
from slipway.release.health import HealthGuard
from slipway.release.journal import Journal
from slipway.release.traffic import Traffic


class Tripped(Exception):
    """The judge or a guard says the candidate is bad. ``str()`` is the reason."""


class Look:
    """One look: the edge does what was set, the probe is answered, the counts are judged."""

    def __init__(
        self,
        rule: Judge,
        share: float,
        *,
        traffic: Traffic,
        guard: HealthGuard,
        journal: Journal,
    ) -> None:
        self._rule = Rule(
            ratio=rule.ratio, min_errors=rule.min_errors, min_requests=rule.min_requests
        )
        self._share = share
        self._traffic = traffic
        self._guard = guard
        self._journal = journal
        self._window = Window(traffic.edge.counts())
        self._stable = self._canary = NOTHING

    def __call__(self) -> Verdict:
        """Look once. Raises :class:`Tripped` when the candidate is bad."""
        self._traffic.check()
        unhealthy = self._guard.look()
        if unhealthy:
            raise Tripped(unhealthy)
        try:
            self._stable, self._canary = self._window.add(self._traffic.edge.counts())
        except OutsideError as error:
            verdict = Verdict(decision=Decision.HOLD, sentence=f"no counts: {error.found}")
        else:
            verdict = judge(self._canary, self._stable, self._rule)
        self._journal.tick(
            f"{verdict.decision}: {verdict.sentence}",
            share=self._share,
            stable=self._stable,
            canary=self._canary,
        )
        if verdict.decision is Decision.ROLLBACK:
            raise Tripped(verdict.sentence)
        return verdict

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
