"""The product's own judge, release by release, as it runs by default."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from bench.judge.draws import SECONDS, TICK, Draws, Floats
from slipway.judge.calibration import SPENT
from slipway.judge.evidence import Evidence, Starts
from slipway.judge.metric import Reading, Rule
from slipway.judge.panel import Panel
from slipway.ports import NOTHING, Counts

STARTS: Final = Starts((float(SECONDS), float(SECONDS)))
"""The canary step and the bake share alpha; only the first is simulated."""
TOLERATED: Final = 1.15
ALPHA: Final = 0.05
LEVEL: Final = SPENT * ALPHA / len(STARTS.phases)
"""Of alpha, for the calibration of each phase's sellers."""


def judge(*, calibrated: bool) -> Panel:
    """Return the judge of one metric, with the defaults of slipway.yml."""
    alpha = ALPHA * (1 - SPENT) if calibrated else ALPHA
    return Panel(
        rules=(Rule(name="errors", tolerated=TOLERATED, alpha=alpha, least=3),), starts=STARTS
    )


PLAIN: Final = judge(calibrated=False)
CALIBRATED: Final = judge(calibrated=True)


def evidence(draws: Draws) -> Floats:
    """Say of every release when it is taken back: seconds, ``inf`` for never."""
    shifts = np.full(len(draws), np.nan) if draws.shifts is None else draws.shifts
    return np.array(
        [
            when(looks, 1.0, PLAIN) if math.isnan(shift) else when(looks, shift, CALIBRATED)
            for looks, shift in zip(readings(draws), shifts.tolist(), strict=True)
        ]
    )


def readings(draws: Draws) -> Iterator[Iterator[Reading]]:
    """Return for each release what was counted in each tick."""
    columns = (
        draws.candidate_total.tolist(),
        draws.candidate_bad.tolist(),
        draws.control_total.tolist(),
        draws.control_bad.tolist(),
    )
    for release in zip(*columns, strict=True):
        yield (
            Reading(
                candidate=Counts(total=total, bad=bad),
                control=Counts(total=others, bad=others_bad),
            )
            for total, bad, others, others_bad in zip(*release, strict=True)
        )


def when(looks: Iterator[Reading], shift: float, judge: Panel) -> float:
    """Return at which look the release is taken back: its seconds, or ``inf``.

    What ``slipway.judge.panel`` does with one metric, without its sentences: they take three times
    as long as the judging. A test has both decide the same releases.
    """
    (rule,) = judge.rules
    state = Evidence().start(judge.starts.begin(0))
    for tick, seen in enumerate(looks, 1):
        if state.waiting != (NOTHING, NOTHING) or not _tells_nothing(seen):
            state = state.see(seen.candidate, seen.control, tolerated=rule.tolerated, shift=shift)
        if state.bad >= rule.least and state.value >= 1 / rule.alpha:
            return float(TICK * tick)
        if weight := judge.starts.between(0, TICK * (tick - 1.0), float(TICK * tick)):
            state = state.start(weight)
    return math.inf


def _tells_nothing(seen: Reading) -> bool:
    """Whether it would leave the evidence as it is: no failure, and requests on both sides."""
    failed = seen.candidate.bad or seen.control.bad
    return not failed and seen.candidate.total > 0 and seen.control.total > 0
