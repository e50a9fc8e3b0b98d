"""The product's own judge, release by release, as it runs by default."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bench.judge.draws import SECONDS, TICK, Draws, Floats
from slipway.judge.calibration import SPENT
from slipway.judge.evidence import Evidence, Starts
from slipway.ports import NOTHING, Counts

ALPHA: Final = 0.05
TOLERATED: Final = 1.15
LEAST: Final = 3
STARTS: Final = Starts((float(SECONDS), float(SECONDS)))
"""The canary step and the bake share alpha; only the first is simulated."""
LEVEL: Final = SPENT * ALPHA
"""Of alpha, for calibration."""


def evidence(draws: Draws) -> Floats:
    """Say of every release when it is taken back: seconds, ``inf`` for never."""
    shifts = np.full(len(draws), np.nan) if draws.shifts is None else draws.shifts
    rows = zip(
        draws.candidate_total.tolist(),
        draws.candidate_bad.tolist(),
        draws.control_total.tolist(),
        draws.control_bad.tolist(),
        shifts.tolist(),
        strict=True,
    )
    return np.array([_when(*row) for row in rows])


def _when(
    candidate_total: list[int],
    candidate_bad: list[int],
    control_total: list[int],
    control_bad: list[int],
    shift: float,
) -> float:
    calibrated = not math.isnan(shift)
    alpha = ALPHA - LEVEL if calibrated else ALPHA
    state = Evidence().start(STARTS.begin(0))
    mine, others = NOTHING, NOTHING
    ticks = zip(candidate_total, candidate_bad, control_total, control_bad, strict=True)
    for tick, (total, bad, control, control_failed) in enumerate(ticks):
        now = TICK * (tick + 1.0)
        weight = STARTS.between(0, now - TICK, now)
        if weight:
            state = state.start(weight)
        candidate, build_before = (
            Counts(total=total, bad=bad),
            Counts(total=control, bad=control_failed),
        )
        mine, others = _add(mine, candidate), _add(others, build_before)
        quiet = not (bad or control_failed) and total and control
        if quiet and state.waiting == (NOTHING, NOTHING):
            continue  # Nothing of it would change the state.
        state = state.see(
            candidate, build_before, tolerated=TOLERATED, shift=shift if calibrated else 1.0
        )
        if _is_outage(mine, others) or (state.bad >= LEAST and state.value >= 1 / alpha):
            return now
    return math.inf


def _is_outage(candidate: Counts, control: Counts) -> bool:
    return (
        candidate.total >= 20
        and candidate.bad >= LEAST
        and 2 * candidate.bad >= candidate.total
        and 2 * control.bad < control.total
    )


def _add(one: Counts, other: Counts) -> Counts:
    return Counts(total=one.total + other.total, bad=one.bad + other.bad)
