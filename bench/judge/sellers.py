"""Simulated releases where a share is a few of many sellers, who differ, and who retry.

The edge counts one root error per seller and ten seconds: a failure within ten seconds of one that
was counted is not counted. Failures are drawn one by one, as only their times tell which of them
that leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.judge.bound import seconds
from bench.judge.draws import BASE, OUTAGE, SECONDS, SHARE, TICK, TICKS, Bools, Draws, Floats, Ints
from slipway.judge import calibration
from slipway.ports import Counts

SELLERS: Final = 200
COHORT: Final = 10
"""5 % of the sellers: the candidate's."""
SPREAD: Final = 2.0
"""Coefficient of variation of the sellers' error rates, where they differ."""
APART: Final = 10.0
"""Seconds from one root error of a seller to the next."""
TOLERATED: Final = 1.15
DAYS: Final = 7 * 86_400.0
"""Seconds that calibration looks back: what the edge keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The sellers of many releases: a row per release, a column per seller, the cohort first."""

    requests: Floats
    """Per second."""
    rates: Floats
    """Errors per request of the build before, 0 to 1."""


def population(rng: np.random.Generator, runs: int, rps: float, *, differ: bool) -> Population:
    """Draw sellers: their volumes are lognormal(0, 1), their error rates gamma or all alike.

    All together have ``rps`` requests per second, of which :data:`BASE` fail.
    """
    volumes = rng.lognormal(0.0, 1.0, (runs, SELLERS))
    requests = rps * volumes / volumes.sum(axis=1, keepdims=True)
    if not differ:
        return Population(requests=requests, rates=np.full((runs, SELLERS), BASE))
    rates = rng.gamma(SPREAD**-2, SPREAD**2, (runs, SELLERS))
    rates *= BASE * rps / (rates * requests).sum(axis=1, keepdims=True)
    return Population(requests=requests, rates=np.minimum(rates, 1.0))


def shifts(rng: np.random.Generator, sellers: Population, level: float) -> Floats:
    """Return what calibration makes of the days before, by release; ``nan``: too little was seen.

    Root errors of a seller who fails ``f`` times a second come apart by ten seconds and an
    exponential time more, so in ``T`` seconds there are ``T·f/(1+10f)`` of them with a variance
    of ``T·f/(1+10f)³`` (a renewal process: Cox, 1962). The binomial distribution of that mean and
    variance stands for it, as a day of failures is too much to draw one by one.
    """
    failing = sellers.requests * sellers.rates
    mean = DAYS * failing / (1 + APART * failing)
    hit = 1 - (1 + APART * failing) ** -2
    slots = np.divide(mean, hit, out=np.zeros_like(mean), where=hit > 0)
    errors = rng.binomial(np.rint(slots).astype(np.int64), hit)
    requests = rng.poisson(DAYS * sellers.requests)
    mine, others = slice(None, COHORT), slice(COHORT, None)
    return calibrated(
        Counted(total=requests[:, mine].sum(axis=1), bad=errors[:, mine].sum(axis=1)),
        Counted(total=requests[:, others].sum(axis=1), bad=errors[:, others].sum(axis=1)),
        level,
    )


def shifts_where_alike(rng: np.random.Generator, runs: int, rps: float, level: float) -> Floats:
    """Return the same where sellers are all alike, and none of them is large."""

    def day(share: float) -> Counted:
        bad = rng.poisson(DAYS * rps * share * BASE, runs)
        return Counted(total=bad + rng.poisson(DAYS * rps * share * (1 - BASE), runs), bad=bad)

    return calibrated(day(SHARE), day(1 - SHARE), level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Requests and root errors of a day, by release."""

    total: Ints
    bad: Ints


def calibrated(inside: Counted, outside: Counted, level: float) -> Floats:
    """Return what the product's calibration says of each release's day before."""
    columns = (inside.total, inside.bad, outside.total, outside.bad)
    found = (
        calibration.shift(
            Counts(total=total, bad=bad),
            Counts(total=others, bad=others_bad),
            level,
            TOLERATED,
        )
        for total, bad, others, others_bad in zip(
            *(column.tolist() for column in columns), strict=True
        )
    )
    return np.array([np.nan if shift is None else shift for shift in found])


def release(
    rng: np.random.Generator,
    sellers: Population,
    ratio: float,
    *,
    times: int = 1,
    raw: bool = False,
    shifts: Floats | None = None,
) -> Draws:
    """Draw a release of each population; the candidate fails ``ratio`` times as often.

    ``times``: how often each failure is tried, all within one second, and logged. ``raw`` counts
    what is logged; otherwise root errors are counted.
    """
    sides = []
    for mine, factor in ((slice(None, COHORT), ratio), (slice(COHORT, None), 1.0)):
        requests = sellers.requests[:, mine]
        usual = sellers.rates[:, mine]
        # In an outage those fail too who otherwise never do.
        rates = np.ones_like(usual) if factor == OUTAGE else np.minimum(1.0, usual * factor)
        key, when = failures(rng, requests * rates)
        roots = np.ones(len(when), dtype=bool) if raw else are_roots(key, when)
        runs, columns = requests.shape
        logged = times * per_tick(key // columns, when, runs)
        good = rng.poisson(TICK * (requests * (1 - rates)).sum(axis=1)[:, None], (runs, TICKS))
        bad = logged if raw else per_tick(key[roots] // columns, when[roots], runs)
        sides += [good + logged, bad]
    return Draws(
        bounds=None if ratio <= TOLERATED else _bounds(sellers, ratio),
        candidate_total=sides[0],
        candidate_bad=sides[1],
        control_total=sides[2],
        control_bad=sides[3],
        shifts=shifts,
    )


def _bounds(sellers: Population, ratio: float) -> Floats:
    """Return Wald's bound of each release: root errors per second, as they are thinned out."""

    def roots(columns: slice, factor: float) -> Floats:
        usual = sellers.rates[:, columns]
        rates = np.ones_like(usual) if factor == OUTAGE else np.minimum(1.0, usual * factor)
        failing = sellers.requests[:, columns] * rates
        return np.asarray((failing / (1 + APART * failing)).sum(axis=1))

    mine, others = slice(None, COHORT), slice(COHORT, None)
    return seconds(roots(mine, ratio), roots(mine, 1.0), roots(others, 1.0))


def failures(rng: np.random.Generator, per_second: Floats) -> tuple[Ints, Floats]:
    """Draw when each seller fails: the seller's number in ``per_second``, and seconds.

    Ordered by seller, then by time.
    """
    numbers = rng.poisson(SECONDS * per_second.ravel())
    key = np.repeat(np.arange(numbers.size), numbers)
    joined = np.sort(key * float(SECONDS) + rng.uniform(0.0, SECONDS, key.size))
    # A sum is rounded: one that lands on the next seller's beginning stays with its own.
    return key, np.clip(joined - key * float(SECONDS), 0.0, np.nextafter(SECONDS, 0))


def are_roots(key: Ints, when: Floats) -> Bools:
    """Say of each failure, ordered by seller and time, whether it is counted as a root error."""
    roots = np.zeros(len(when), dtype=bool)
    if not len(when):
        return roots
    # Sellers are put one after another on one line, far enough apart for the last dead time.
    line = key * (SECONDS + APART) + when
    at = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    while at.size:
        roots[at] = True
        after = np.searchsorted(line, line[at] + APART)
        same = after < len(line)
        same[same] = key[after[same]] == key[at[same]]
        at = after[same]
    return roots


def per_tick(run: Ints, when: Floats, runs: int) -> Ints:
    """Count events by release and tick."""
    tick = (when // TICK).astype(np.int64)
    return np.bincount(run * TICKS + tick, minlength=runs * TICKS).reshape(runs, TICKS)
