"""How much more often a share of the sellers fails anyway.

A share is always the same sellers, and sellers differ: one has an expired token, another a thousand
products. Were a share compared with the others as if all were alike, a cohort of bad luck would
take a good build back, in 2 to 19 % of all releases where sellers differ much. So what the same
cohorts met on the stable build in the last day is taken into account: the upper bound of how often
an error was the cohort's, given that it was anybody's.
"""

from __future__ import annotations

from typing import Final

from slipway.judge.binomial import upper_bound
from slipway.ports import Counts

SPENT: Final = 0.2
"""Of ``alpha``: for the bound. The rest is the test's."""
LEAST: Final = 100
"""Root errors of the past below which it says too little: a bound that wide would hide all but an
outage, and as few errors as that make few false alarms."""


def shift(inside: Counts, outside: Counts, level: float) -> float | None:
    """Return by how much the odds of an error being ``inside`` exceed those of a request, at most.

    1 where they do not. It is too low with a chance of ``level`` at most. ``None``: too little was
    seen.
    """
    bad = inside.bad + outside.bad
    if bad < LEAST or not (inside.total and outside.total):
        return None
    share = upper_bound(inside.bad, bad, level)
    if share >= 1:
        return None
    return max(1.0, share / (1 - share) * outside.total / inside.total)
