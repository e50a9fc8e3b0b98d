"""Does a service fail more often than it used to? An exact test on counts, without a control.

A rolling release has no second track to compare with, so the time before is what is compared
with: the highest rate at which its errors would still be likely (the upper 95 % bound of Clopper
and Pearson) times ``ratio`` is tolerated. The judge rolls back when as many errors as were counted
since, or more, would be that unlikely at the tolerated rate (a binomial tail), with the tolerated
false alarms of a watch shared among its looks (Bonferroni).

What Render's values count is not documented. They are taken for counts: were they requests per
second, they would be too small, the bound too high and the tail too likely, so that fewer builds
go back, and never a good one for it. Fractions are rounded to that side too.
"""

from __future__ import annotations

import math

from slipway.judge.split import Decision, Rule, Verdict, tail
from slipway.ports import Requests

CONFIDENCE = 0.95
"""Of the bound: in 19 of 20 hours it is not below the rate that the service has."""
OUTAGE_RATE = 0.5
OUTAGE_REQUESTS = 20
"""As the edge's own tripwire has it."""
_HALVINGS = 60
"""More than a float can tell apart."""


def judge(since: Requests, before: Requests | None, rule: Rule) -> Verdict:
    """Compare what was counted ``since`` the change with an hour ``before`` it.

    Where nothing was counted before, nothing is known of the usual rate, and only an outage is
    rolled back: half of :data:`OUTAGE_REQUESTS` or more. ``rule.min_requests`` is not used.
    """
    if _is_outage(since) and not (before and _is_outage(before)):
        return Verdict(decision=Decision.ROLLBACK, sentence=f"{said(since, before)}: an outage")
    tolerated = min(1.0, rule.ratio * _bound(before)) if before else 1.0
    errors, requests = math.floor(since.errors), math.ceil(since.total)
    if errors >= rule.min_errors:
        chance = tail(errors, requests, tolerated)
        if chance <= rule.alpha / rule.looks:
            return Verdict(
                decision=Decision.ROLLBACK,
                sentence=f"{said(since, before)}: more than the {100 * tolerated:.2g} % that are "
                f"tolerated (chance {chance:.1g} otherwise)",
            )
    return Verdict(decision=Decision.HOLD, sentence=said(since, before))


def _is_outage(counted: Requests) -> bool:
    return counted.total >= OUTAGE_REQUESTS and counted.errors >= OUTAGE_RATE * counted.total


def said(since: Requests, before: Requests | None) -> str:
    """Say what was counted, with the usual rate."""
    usual = f"{_percent(before)} in the hour before" if before and before.total else ""
    return (
        f"Render counted {since.total:,.0f} requests, {since.errors:,.0f} of them 5xx, "
        f"{_percent(since)} ({usual or 'nothing was counted in the hour before'})"
    )


def _percent(counted: Requests) -> str:
    return f"{100 * counted.errors / counted.total:.2g} %" if counted.total else "0 %"


def _bound(before: Requests) -> float:
    return upper_bound(math.ceil(before.errors), math.floor(before.total))


def upper_bound(hits: int, draws: int) -> float:
    """Return the one-sided upper 95 % bound of a rate (Clopper and Pearson, 1934).

    The rate at which ``hits`` or fewer of ``draws`` have a chance of 5 %; 1 where all were hits.
    """
    if hits >= draws:
        return 1.0
    low, high = hits / draws, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if tail(hits + 1, draws, middle) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
