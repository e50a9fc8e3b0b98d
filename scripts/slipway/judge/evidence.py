"""Given an error, which side had it? A sequential test on counts, valid at every look.

Two sides answer ``n1`` and ``n0`` requests in the same time. If the candidate fails ``r`` times as
often as the control, an error falls on it with odds ``r·n1/n0``; how often *both* fail, and how
that changes, cancels. For each alternative ratio ``θ`` above the tolerated one, the likelihood of
where the errors fell, against the tolerated ratio, is a product over errors that nobody can expect
to grow while the candidate is no worse than tolerated. So is any average of such products, and by
Ville's inequality it ever reaches ``1/alpha`` with a chance of ``alpha`` at most: however often
one looks, and however often one pauses. Two time-inhomogeneous Poisson streams, conditioned on
their sum: Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022
(arXiv 2011.03567).

An average over when the regression began is one too (a mixture over change points: Shiryaev and
Roberts). The weight of a start is given out when its time comes; what has not been given out is
evidence of 1. For each ``θ`` one number is kept: the products of all starts, weighted and added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from slipway.ports import NOTHING, Counts

_NEAR: Final = (1.1, 1.25)
_FAR: Final = tuple(float(1.6 * 25 ** (step / 8)) for step in range(9))
RATIOS: Final = _NEAR + _FAR
"""Alternatives, as multiples of the tolerated ratio. 1.6 to 40 are evenly spread by their
logarithm; beyond them nothing is lost, as a ratio of 500 is found by what speaks for 60. Below them
only very much traffic can tell anything apart."""
_NEARS_WEIGHT: Final = 0.01
_TOWARDS_SMALL: Final = 0.5
"""Among the others small ratios get more weight, as each look tells less about them:
``θ ** -0.5``."""
_WEIGHTS: Final[tuple[float, ...]] = (
    *(_NEARS_WEIGHT for _ in _NEAR),
    *(
        (1 - _NEARS_WEIGHT * len(_NEAR))
        * ratio**-_TOWARDS_SMALL
        / sum(other**-_TOWARDS_SMALL for other in _FAR)
        for ratio in _FAR
    ),
)
_LOGS: Final = tuple(math.log(ratio) for ratio in RATIOS)
_MOST: Final = 1e100
"""A sum is cut there: it has long decided, and must stay a finite number."""
_MOST_LOG: Final = math.log(_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The state of one test: how much speaks against the candidate."""

    sums: tuple[float, ...] = (0.0,) * len(RATIOS)
    """For each of :data:`RATIOS`: the weighted products of all starts."""
    unspent: float = 1.0
    """The weight of starts that are still to come."""
    bad: int = 0
    """Of the candidate, in all."""
    waiting: tuple[Counts, Counts] = (NOTHING, NOTHING)
    """Candidate and control, until the control has had a request to compare with."""

    @property
    def value(self) -> float:
        """The e-value: 1 says nothing, 20 has a chance of 1/20 at most with a good build."""
        return self.unspent + sum(w * s for w, s in zip(_WEIGHTS, self.sums, strict=True))

    def start(self, weight: float) -> Evidence:
        """Let another start begin now, with ``weight``. Decide on it by the clock alone."""
        weight = min(weight, self.unspent)
        return replace(
            self, sums=tuple(s + weight for s in self.sums), unspent=self.unspent - weight
        )

    def grown(self, logs: Sequence[float]) -> Evidence:
        """Multiply every start's product by what was seen: for each ratio, by ``exp(log)``."""
        sums = (
            min(_MOST, total * math.exp(min(log, _MOST_LOG)))
            for log, total in zip(logs, self.sums, strict=True)
        )
        return replace(self, sums=tuple(sums))

    def see(
        self, candidate: Counts, control: Counts, *, tolerated: float, shift: float = 1.0
    ) -> Evidence:
        """Take in what has come since the last look.

        ``tolerated`` is the largest ratio of the error rates that is no reason to go back;
        ``shift`` how much more often the candidate's users fail anyway (see ``calibration``).
        """
        candidate = self.waiting[0] + candidate
        control = self.waiting[1] + control
        if not control.total:
            return replace(self, waiting=(candidate, control))
        seen = replace(self, waiting=(NOTHING, NOTHING), bad=self.bad + candidate.bad)
        if not (candidate.bad or control.bad):
            return seen
        # Without a request of the candidate the odds are 0, and no error tells anything.
        odds = tolerated * shift * candidate.total / control.total
        # For an error of the candidate q1/q0 = r·(1+odds)/(1+r·odds), of the control
        # (1-q1)/(1-q0) = (1+odds)/(1+r·odds).
        both, common = candidate.bad + control.bad, math.log1p(odds)
        return seen.grown(
            [
                candidate.bad * log + both * (common - math.log1p(ratio * odds))
                for ratio, log in zip(RATIOS, _LOGS, strict=True)
            ]
        )

    def see_alone(self, counts: Counts, *, tolerated: float) -> Evidence:
        """Take in what has come, where there is no control: against a ``tolerated`` rate (0 to 1).

        The likelihood of the rate being a ratio times what is tolerated (a test by betting:
        Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B
        2024). It stands or falls with the tolerated rate being one of the same circumstances.
        """
        seen = replace(self, bad=self.bad + counts.bad)
        if not 0 < tolerated < 1 or not counts.total:
            return seen
        good = counts.total - counts.bad
        # Without a single error in the past the tolerated rate is still above 0: it is a bound.
        rates = [min(ratio * tolerated, (1 + tolerated) / 2) for ratio in RATIOS]
        return seen.grown(
            [
                counts.bad * math.log(rate / tolerated)
                + good * (math.log1p(-rate) - math.log1p(-tolerated))
                for rate in rates
            ]
        )


START: Final = 0.4
"""Of a phase's weight, for a regression that is there from its beginning; the rest is spread over
its other minutes."""
MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Starts:
    """When in a release starts begin: at the beginning of each phase, and at each of its minutes.

    ``phases`` are the planned seconds of each. Each gets the same weight.
    """

    phases: tuple[float, ...]

    def begin(self, phase: int) -> float:
        """Return the weight of the start at the beginning of ``phase`` (from 0)."""
        share = 1 / len(self.phases)
        return share * START if self._minutes(phase) else share

    def between(self, phase: int, after: float, until: float) -> float:
        """Return the weight of the minutes of ``phase`` in ``after < seconds <= until``."""
        minutes = self._minutes(phase)
        if not minutes:
            return 0.0
        passed = min(minutes, math.floor(until / MINUTE)) - min(minutes, math.floor(after / MINUTE))
        return (1 - START) / len(self.phases) * passed / minutes

    def _minutes(self, phase: int) -> int:
        """How many minutes begin within the phase, after its own beginning."""
        return max(0, math.ceil(self.phases[phase] / MINUTE) - 1)
