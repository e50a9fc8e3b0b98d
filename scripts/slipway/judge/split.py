"""Given an error, which track had it? An exact test on counts.

If the candidate fails ``ratio`` times as often as the control, an error falls on the candidate
with probability ``p = r·n1 / (r·n1 + n0)`` for ``n1`` and ``n0`` requests. The judge rolls back
when as many errors as were seen on the candidate, or more, would be that unlikely (a binomial
tail), with the tolerated false alarms of a step shared among its looks (Bonferroni). It therefore
rolls identical code back in at most ``alpha`` of the steps, however often it looks.

Where the control is nearly idle such a test has no power, so an outage needs no comparison: at
least half of at least twenty requests failing, while the control does not fail like that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from slipway.ports import Counts, EdgeCounts

NOTHING = Counts(requests=0, errors=0)


class Decision(StrEnum):
    """What a look at the counts says."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is tolerated. ``ratio`` 1.15: 15 % more errors than the control has."""

    ratio: float
    alpha: float
    """Share of the steps in which identical code may be rolled back."""
    looks: int
    """How often the step is looked at."""
    min_errors: int
    min_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision and the sentence that explains it with its numbers."""

    decision: Decision
    sentence: str


def judge(candidate: Counts, control: Counts, rule: Rule) -> Verdict:
    """Compare two tracks over the same time. Zero errors is a count; zero requests is not."""
    seen = f"candidate {_rate(candidate)}, control {_rate(control)}"
    if _is_outage(candidate) and not _is_outage(control, least=1):
        return Verdict(
            decision=Decision.ROLLBACK,
            sentence=f"at least half of the candidate's requests fail: {seen}",
        )
    if control.requests == 0:
        return Verdict(decision=Decision.HOLD, sentence=f"no control to compare with: {seen}")
    weight = rule.ratio * candidate.requests
    chance = tail(
        candidate.errors,
        candidate.errors + control.errors,
        weight / (weight + control.requests),
    )
    if candidate.errors >= rule.min_errors and chance <= rule.alpha / rule.looks:
        return Verdict(
            decision=Decision.ROLLBACK,
            sentence=f"more than {rule.ratio:g} times the control's errors "
            f"(chance {chance:.1g} otherwise): {seen}",
        )
    if min(candidate.requests, control.requests) < rule.min_requests:
        return Verdict(
            decision=Decision.HOLD,
            sentence=f"too few requests to judge (at least {rule.min_requests} each): {seen}",
        )
    return Verdict(decision=Decision.PROMOTE, sentence=f"nothing against it: {seen}")


OUTAGE_REQUESTS = 20
"""Requests of which half must fail before nothing has to be compared any more."""


def _is_outage(counts: Counts, least: int = OUTAGE_REQUESTS) -> bool:
    """Return whether at least half of at least ``least`` requests failed."""
    return counts.requests >= least and 2 * counts.errors >= counts.requests


def tail(hits: int, draws: int, p: float) -> float:
    """Return the probability of ``hits`` or more of ``draws``, each with probability ``p``.

    The binomial tail, summed from its first term by the ratio of neighbours
    ``(n-k)/(k+1) * p/(1-p)``; exact but for rounding. Beyond the mean the terms only fall, so what
    no longer changes the sum is not added up: a million errors cost no more than a thousand.
    """
    if hits <= 0 or p >= 1:
        return 1.0
    if p <= 0 or hits > draws:
        return 0.0
    log_first = (
        math.lgamma(draws + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(draws - hits + 1)
        + hits * math.log(p)
        + (draws - hits) * math.log1p(-p)
    )
    odds = p / (1 - p)
    if hits < draws * p:
        # Below the mean the other side is the short one.
        return 1.0 - tail(draws - hits + 1, draws, 1 - p)
    total = term = 1.0
    for k in range(hits, draws):
        term *= (draws - k) / (k + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, total * math.exp(log_first))


def _rate(counts: Counts) -> str:
    if counts.requests == 0:
        return "0 requests"
    share = 100 * counts.errors / counts.requests
    return f"{counts.errors} of {counts.requests} requests failed ({share:.2g} %)"


class Window:
    """Counts since a moment, through restarts of the counters.

    An instance's counters are totals since its ``epoch`` began. An epoch that was not there
    before, or a total that goes back, is a restart: what is shown then is all new, and what was
    seen before is kept. Only what was counted and lost in between is missing. Each instance is
    followed by itself: one that restarts must not bring the whole past of the others again.
    """

    def __init__(self, start: EdgeCounts) -> None:
        self._last = {part.epoch: part for part in _parts(start)}
        self._stable = self._canary = NOTHING

    def add(self, now: EdgeCounts) -> tuple[Counts, Counts]:
        """Take a reading; return (stable, canary) since the window began."""
        for part in _parts(now):
            last = self._last.get(part.epoch)
            self._stable = _grown(self._stable, last.stable if last else NOTHING, part.stable)
            self._canary = _grown(self._canary, last.canary if last else NOTHING, part.canary)
            self._last[part.epoch] = part
        return self._stable, self._canary


def _parts(counts: EdgeCounts) -> tuple[EdgeCounts, ...]:
    return counts.instances or (counts,)


def _grown(kept: Counts, last: Counts, now: Counts) -> Counts:
    restarted = now.requests < last.requests or now.errors < last.errors
    base = NOTHING if restarted else last
    return Counts(
        requests=kept.requests + now.requests - base.requests,
        errors=kept.errors + now.errors - base.errors,
    )
