"""The binomial distribution, as far as a judge needs it: its tail, and what it bounds."""

from __future__ import annotations

import math

_HALVINGS = 60
"""More than a float can tell apart."""


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
    if hits < draws * p:
        # Below the mean the other side is the short one.
        return 1.0 - tail(draws - hits + 1, draws, 1 - p)
    log_first = (
        math.lgamma(draws + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(draws - hits + 1)
        + hits * math.log(p)
        + (draws - hits) * math.log1p(-p)
    )
    odds = p / (1 - p)
    total = term = 1.0
    for k in range(hits, draws):
        term *= (draws - k) / (k + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, total * math.exp(log_first))


def upper_bound(hits: int, draws: int, level: float) -> float:
    """Return the one-sided upper bound of a rate (Clopper and Pearson, 1934).

    The rate at which ``hits`` or fewer of ``draws`` have a chance of ``level``: it is below the
    true rate with that chance at most. 1 where all were hits.
    """
    if hits >= draws:
        return 1.0
    low, high = hits / draws, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if 1.0 - tail(hits + 1, draws, middle) > level:
            low = middle
        else:
            high = middle
    return high
