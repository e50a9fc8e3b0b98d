"""Kayenta's verdict on one metric, for many pairs of time series at once.

Its Mann-Whitney classifier (``MannWhitneyClassifier.scala`` in kayenta-judge, ``MannWhitney.scala``
in kayenta-mannwhitney): a 98 % interval of the shift between the two, and its estimate, by
inverting the test with its continuity and tie corrections. Bad is a shift whose lower limit is
above a quarter of its estimate, where the mean has risen.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np

from bench.judge.draws import Bools, Floats

LIMIT: Final = NormalDist().inv_cdf(0.99)
"""The interval leaves 1 % on each side."""
TOLERANCE: Final = 0.25


def high(candidate: Floats, control: Floats) -> Bools:
    """Say of each row whether the candidate's points are judged too high.

    Kayenta looks for the interval's ends by Brent's method, to 1e-4. They are where a step
    function falls below a limit, which is at one of the differences: here that one is taken.
    """
    n, m = candidate.shape[1], control.shape[1]
    differences = np.sort((candidate[:, :, None] - control[:, None, :]).reshape(-1, n * m), axis=1)
    spread = np.sqrt(_variance(candidate, control))
    # Shifted by a little more than a difference, the candidate wins in so many pairs:
    wins = (differences[:, None, :] > differences[:, :, None]).sum(axis=2) - n * m / 2
    z = (wins - 0.5 * np.sign(wins)) / spread[:, None]
    low = _where_it_falls(differences, z, LIMIT)
    estimate = _where_it_falls(differences, z, 0.0)
    mine, other = candidate.mean(axis=1), control.mean(axis=1)
    # Without an error on one side there is no ratio of the means, and it is not asked for.
    risen = (mine >= other) | (mine == 0) | (other == 0)
    judged: Bools = (low > TOLERANCE * np.abs(estimate)) & risen
    return judged


def _variance(candidate: Floats, control: Floats) -> Floats:
    """Return the variance of the number of pairs won, less what ties within a side take.

    It is above 0: for that all points of both sides would have to be one tie.
    """
    n, m = candidate.shape[1], control.shape[1]
    both = n + m
    ties = _ties(candidate) + _ties(control)
    variance: Floats = n * m / 12 * ((both + 1) - ties / (both * (both - 1)))
    return variance


def _ties(points: Floats) -> Floats:
    """Return the sum of t³ - t over groups of t equal points, by row.

    Each point of a group of t adds t² - 1.
    """
    alike = (points[:, :, None] == points[:, None, :]).sum(axis=2)
    found: Floats = (alike.astype(np.float64) ** 2 - 1).sum(axis=1)
    return found


def _where_it_falls(differences: Floats, z: Floats, limit: float) -> Floats:
    """Return the first difference beyond which ``z`` is no longer above ``limit``."""
    return np.take_along_axis(differences, (z <= limit).argmax(axis=1)[:, None], axis=1)[:, 0]
