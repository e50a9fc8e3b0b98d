"""Simulated releases: requests and errors of candidate and control, tick by tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SECONDS: Final = 600
"""One canary step."""
TICK: Final = 10
"""Seconds between two looks of the product."""
TICKS: Final = SECONDS // TICK
SHARE: Final = 0.05
"""Of the requests, or of the sellers, that meet the candidate."""
BASE: Final = 0.002
"""Errors per request of the build before."""
OUTAGE: Final = 1 / BASE
"""The ratio at which every request of the candidate fails."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Counts of many releases: each array has a row per release and a column per tick."""

    candidate_total: Ints
    candidate_bad: Ints
    control_total: Ints
    control_bad: Ints
    shifts: Floats | None = None
    bounds: Floats | None = None
    """Seconds, by release: Wald's bound for its own sellers, where they differ."""
    """By release: how much more often the candidate's sellers fail anyway, as calibrated before;
    ``nan`` where too little was known. ``None``: nobody calibrated."""

    def __len__(self) -> int:
        return len(self.candidate_total)


def alike(
    rng: np.random.Generator, runs: int, rps: float, *, candidate: Floats, control: Floats
) -> Draws:
    """Draw releases where every request fails independently of all others.

    ``rps``: requests per second of both together; ``candidate`` and ``control``: the probability
    of an error, 0 to 1, in each tick. Good and bad requests are Poisson streams of their own,
    which is the same as drawing requests first and then who of them fails.
    """
    mine, others = rps * TICK * SHARE, rps * TICK * (1 - SHARE)
    shape = (runs, TICKS)
    candidate_bad = rng.poisson(mine * candidate, shape)
    control_bad = rng.poisson(others * control, shape)
    return Draws(
        candidate_total=candidate_bad + rng.poisson(mine * (1 - candidate), shape),
        candidate_bad=candidate_bad,
        control_total=control_bad + rng.poisson(others * (1 - control), shape),
        control_bad=control_bad,
    )


def steady(rate: float) -> Floats:
    """Return the same probability of an error (0 to 1) for every tick."""
    return np.full(TICKS, min(1.0, rate))


def between(rate: float, other: float, start: float, end: float) -> Floats:
    """Return ``other`` from ``start`` to ``end`` seconds, and ``rate`` before and after."""
    begins = np.arange(TICKS) * TICK
    return np.minimum(1.0, np.where((begins >= start) & (begins < end), other, rate))
