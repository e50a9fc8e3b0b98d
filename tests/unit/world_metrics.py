"""A source of counts in the world in memory: what both builds ask of an AI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.ports import Counts, Found, Measured, Meter, Side, Sides
from tests.unit.world import World


@dataclass
class Ai:
    """Calls of an AI that both builds make, in proportion to their share; a source of counts."""

    world: World
    per_second: float = 20.0
    slow: Callable[[bool], float] = lambda candidate: 0.0
    """The share of slow calls, of the candidate or not."""
    hold: Callable[[], str] = lambda: ""
    traffic: bool = True
    asked: Side | None = None
    sides: Sides | None = None

    def check(self, control: Side) -> Found:
        self.asked = control
        return Found(sentence="2 series", traffic=self.traffic)

    def since_now(self, sides: Sides) -> Meter:
        self.sides = sides
        return _Calls(self)

    def before(self, control: Side, seconds: float) -> Counts | None:
        return Counts(total=round(self.per_second * seconds), bad=0)


class _Calls:
    def __init__(self, ai: Ai) -> None:
        self._ai = ai
        self._at = ai.world.clock.t
        self._totals = {True: [0.0, 0.0], False: [0.0, 0.0]}

    def read(self) -> Measured:
        ai = self._ai
        passed, self._at = ai.world.clock.t - self._at, ai.world.clock.t
        share = ai.world.effective_share() / 100
        for candidate, part in ((True, share), (False, 1 - share)):
            calls = passed * ai.per_second * part
            self._totals[candidate][0] += calls
            self._totals[candidate][1] += calls * ai.slow(candidate)
        mine, other = (
            Counts(total=int(total), bad=int(bad))
            for total, bad in (self._totals[True], self._totals[False])
        )
        return Measured(candidate=mine, control=other, hold=ai.hold())
