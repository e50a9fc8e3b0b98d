"""How much more often a share of the sellers fails anyway.

A share is always the same sellers, and sellers differ: one has an expired token, another a thousand
products. Were a share compared with the others as if all were alike, a cohort of bad luck would
take a good build back, in 2 to 19 % of all releases where sellers differ much. So what the same
cohorts met on the stable build in the last week is taken into account: how often an error was the
cohort's, given that it was anybody's.
"""

from __future__ import annotations

from typing import Final

from slipway.judge.binomial import upper_bound
from slipway.ports import Counts

SPENT: Final = 0.05
"""Of ``alpha``: for the bound. The rest is the test's."""
LEAST: Final = 300
"""Root errors of the past below which it says too little: a bound that wide would hide all but an
outage, and as few errors as that make few false alarms."""


def shift(inside: Counts, outside: Counts, level: float, tolerated: float) -> float | None:
    """Return how many times as often, by request, those ``inside`` fail as others do.

    With identical code the odds of an error being theirs are at most ``tolerated`` times what this
    says, but for a chance of ``level`` (Clopper and Pearson). It is the estimate where that is
    enough, as what is tolerated allows for the estimate being wrong; else as much more as is
    needed. Below 1 where they fail less often. ``None``: too little was seen.
    """
    bad = inside.bad + outside.bad
    if bad < LEAST or not (inside.total and outside.total):
        return None
    share = upper_bound(inside.bad, bad, level)
    if share >= 1:
        return None
    per_request = outside.total / inside.total
    likely = (inside.bad + 0.5) / (outside.bad + 0.5) * per_request
    at_most = share / (1 - share) * per_request
    return max(likely, at_most / tolerated)
