"""How soon any rule of that error rate could be done: Wald's bound."""

from __future__ import annotations

import math

import numpy as np

from bench.judge.draws import BASE, SHARE, Floats
from bench.judge.ours import ALPHA, TOLERATED


def wald(rps: float, ratio: float) -> float | None:
    """Return the mean seconds that a sequential test needs at least; ``None`` within tolerance.

    ``log(1/alpha)`` over the information per second: errors per second, times what each tells,
    which is the divergence of where errors fall at ``ratio`` from where they fall at the tolerated
    one (Wald, "Sequential tests of statistical hypotheses", 1945). It is what a test would need
    that knew the ratio beforehand, and how sellers differ.
    """
    if ratio <= TOLERATED:
        return None
    failing = min(1.0, BASE * ratio)
    mine, usual, others = (rps * SHARE * failing, rps * SHARE * BASE, rps * (1 - SHARE) * BASE)
    return float(seconds(np.array([mine]), np.array([usual]), np.array([others]))[0])


def seconds(mine: Floats, usual: Floats, others: Floats) -> Floats:
    """Return the bound for errors per second: the candidate's, what its users had before, others'.

    ``inf`` where the candidate's are no more than is tolerated.
    """
    there, tolerated = mine / others, TOLERATED * usual / others
    # Of an error, that it is the candidate's: odds / (1 + odds).
    with np.errstate(divide="ignore", invalid="ignore"):
        told = mine * np.log(there / tolerated) + (mine + others) * np.log(
            (1 + tolerated) / (1 + there)
        )
        found = math.log(1 / ALPHA) / told
    return np.where((there > tolerated) & (told > 0), found, math.inf)
