"""How soon any rule of that error rate could be done: Wald's bound."""

from __future__ import annotations

import math

from bench.judge.draws import BASE, SHARE
from bench.judge.ours import ALPHA, TOLERATED


def wald(rps: float, ratio: float) -> float | None:
    """Return the mean seconds that a sequential test needs at least; ``None`` within tolerance.

    ``log(1/alpha)`` over the information per second: errors per second, times what each tells,
    which is the divergence of where errors fall at ``ratio`` from where they fall at the tolerated
    one (Wald, "Sequential tests of statistical hypotheses", 1945). It is what a test would need
    that knew the ratio beforehand, and where sellers are alike.
    """
    if ratio <= TOLERATED:
        return None
    failing = min(1.0, BASE * ratio)
    per_second = rps * (SHARE * failing + (1 - SHARE) * BASE)
    there, tolerated = _share(failing / BASE), _share(TOLERATED)
    told = there * math.log(there / tolerated) + (1 - there) * math.log(
        (1 - there) / (1 - tolerated)
    )
    return math.log(1 / ALPHA) / (per_second * told)


def _share(ratio: float) -> float:
    """Return the probability that an error is the candidate's."""
    odds = ratio * SHARE / (1 - SHARE)
    return odds / (1 + odds)
