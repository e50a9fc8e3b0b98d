"""What a step could have seen: the smallest regression that it stops four times out of five.

A step without errors says little where few requests came. Seen by the test that judges: so many
errors of the candidate are needed for the evidence to reach the limit, given those of the control;
and so high must its rate be for that many to come with a chance of 80 % (Poisson).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from slipway.judge.evidence import Evidence
from slipway.judge.verdict import percent
from slipway.ports import Counts

POWER: Final = 0.8
_HALVINGS = 50
_MANY = 300
"""Events from which on a Poisson number is near enough to a normal one."""
_NORMAL = 0.8416
"""Standard deviations within which 80 % of normal numbers are above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What could have been seen."""

    requests: int
    """Of the candidate."""
    rate: float
    """Share of bad events (0 to 1) from which on it would have been seen; 1: nothing but all."""
    ratio: float | None
    """The same as a multiple of the control's rate; ``None``: the control had no bad event."""

    def sentence(self, noun: str) -> str:
        """Say it of ``noun``, in the plural: "60 requests reached the candidate: a fault in …"."""
        if not self.requests:
            return f"nothing could have been seen of {noun}: the candidate had none"
        times = "" if self.ratio is None else f" ({self.ratio:.2g} times the build before)"
        return (
            f"{self.requests:,} {noun} reached the candidate: a fault in fewer than "
            f"{percent(self.rate)} of them{times} could not have been seen reliably"
        )


def power(
    candidate: Counts,
    control: Counts,
    *,
    alpha: float,
    weight: float,
    tolerated: float,
    least: int,
    shift: float = 1.0,
) -> Power:
    """Return what a test with these counts could have seen.

    ``weight`` is what the start of the step has of the whole test, ``least`` the number of bad
    events below which nothing is rolled back. The candidate's own bad events play no part.
    """
    if not (candidate.total and control.total):
        return Power(requests=candidate.total, rate=1.0, ratio=None)

    def fires(bad: int) -> bool:
        had = Counts(total=candidate.total, bad=bad)
        seen = Evidence().start(weight).see(had, control, tolerated=tolerated, shift=shift)
        return seen.value >= 1 / alpha

    needed = least
    if not fires(candidate.total):
        return Power(requests=candidate.total, rate=1.0, ratio=None)
    low, high = least - 1, max(least, candidate.total)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fires(middle) else (middle, high)
    needed = high
    rate = min(1.0, _mean_for(needed) / candidate.total)
    usual = control.bad / control.total
    return Power(requests=candidate.total, rate=rate, ratio=rate / usual if usual else None)


def _mean_for(needed: int) -> float:
    """Return the mean at which a Poisson number is ``needed`` or more with a chance of 80 %."""
    if needed > _MANY:
        return needed + _NORMAL * math.sqrt(needed)
    low, high = 0.0, 2.0 * needed + 10
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_least(needed, middle) < POWER:
            low = middle
        else:
            high = middle
    return high


def _at_least(number: int, mean: float) -> float:
    """Return the chance of ``number`` or more events, where ``mean`` are expected."""
    if mean <= 0:
        return 0.0
    log = -mean
    below = 0.0
    for k in range(number):
        below += math.exp(log)
        log += math.log(mean) - math.log(k + 1)
    return max(0.0, 1.0 - below)
