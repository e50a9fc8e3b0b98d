"""The other rules. Each says of every release when it takes it back: seconds, ``inf`` for never."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from bench.judge.draws import TICK, Bools, Draws, Floats, Ints
from bench.judge.mann_whitney import high

MINUTE: Final = 60
TOLERATED: Final = 1.15
P: Final = 0.05
"""Of the z test, one-sided."""
TIMES, OF, ABOVE = 3, 5, 0.01
"""Of the threshold: minutes above a share of errors that is five times the usual one."""
FEWEST: Final = 3
"""Points from which on a Mann-Whitney test is asked: with fewer it has no interval."""


def literal(draws: Draws) -> Floats:
    """More than 1.15 times the control's rate: one look, after the first minute."""
    first = slice(None, MINUTE // TICK)
    bad, total = draws.candidate_bad[:, first].sum(axis=1), draws.candidate_total[:, first].sum(1)
    others_bad, others = (
        draws.control_bad[:, first].sum(axis=1),
        draws.control_total[:, first].sum(1),
    )
    return np.where(_rate(bad, total) > TOLERATED * _rate(others_bad, others), MINUTE, math.inf)


def z_test(draws: Draws) -> Floats:
    """Two proportions, pooled, of all so far: p < .05, each minute anew."""
    bad, total = _so_far(draws.candidate_bad), _so_far(draws.candidate_total)
    others_bad, others = _so_far(draws.control_bad), _so_far(draws.control_total)
    pooled = _rate(bad + others_bad, total + others)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(pooled * (1 - pooled) * (1 / total + 1 / others))
        z = (_rate(bad, total) - _rate(others_bad, others)) / error
        p = np.array([[0.5 * math.erfc(each / math.sqrt(2)) for each in row] for row in z])
    return _first(p < P)


def m_of_n(draws: Draws) -> Floats:
    """More than 1 % errors in 3 of the last 5 minutes, whatever the control does."""
    above = _rate(_minutes(draws.candidate_bad), _minutes(draws.candidate_total)) > ABOVE
    summed = np.cumsum(np.pad(above.astype(np.int64), ((0, 0), (OF, 0))), axis=1)
    return _first(summed[:, OF:] - summed[:, :-OF] >= TIMES)


def kayenta(draws: Draws) -> Floats:
    """Kayenta's rule on the points so far, each minute; the first bad score ends it."""
    candidate, control = _points(draws)
    judged = [
        high(candidate[:, :points], control[:, :points])
        for points in range(FEWEST, candidate.shape[1] + 1)
    ]
    never = np.zeros((len(draws), FEWEST - 1), dtype=bool)
    return _first(np.hstack([never, np.stack(judged, axis=1)]))


def kayenta_at_the_end(draws: Draws) -> Floats:
    """Kayenta's rule, once, on all points."""
    candidate, control = _points(draws)
    return np.where(high(candidate, control), MINUTE * candidate.shape[1], math.inf)


PEERS: Final[Mapping[str, Callable[[Draws], Floats]]] = {
    "literal": literal,
    "z-test": z_test,
    "m-of-n": m_of_n,
    "kayenta": kayenta,
    "kayenta-end": kayenta_at_the_end,
}


def _minutes(counts: Ints) -> Ints:
    summed: Ints = counts.reshape(len(counts), -1, MINUTE // TICK).sum(axis=2)
    return summed


def _so_far(counts: Ints) -> Ints:
    summed: Ints = _minutes(counts).cumsum(axis=1)
    return summed


def _points(draws: Draws) -> tuple[Floats, Floats]:
    """Return errors in percent of each minute; 0 where there was no request."""
    candidate = _rate(_minutes(draws.candidate_bad), _minutes(draws.candidate_total))
    control = _rate(_minutes(draws.control_bad), _minutes(draws.control_total))
    return 100 * candidate, 100 * control


def _rate(bad: Ints, total: Ints) -> Floats:
    return np.divide(bad, total, out=np.zeros(np.shape(bad)), where=total > 0)


def _first(bad: Bools) -> Floats:
    """Return when the first minute ended that was bad."""
    return np.where(bad.any(axis=1), MINUTE * (bad.argmax(axis=1) + 1.0), math.inf)
