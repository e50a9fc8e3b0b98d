"""Two ways back of one service at once, the second at every call of the first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STABLE, image
from tests.unit.dying import lapse, put_in_order, release
from tests.unit.outages import CASES, SHORTER, press, way_back_of
from tests.unit.world import World

ENDED = (Result.PROMOTED_PREVIOUS, Result.UNCHANGED)


def promoted() -> World:
    world = World()
    assert release(world, world.build("v2"), short=SHORTER).result is Result.PROMOTED
    world.calls.clear()
    world.unvouched.discard("v2")
    return world


class Second:
    """Somebody who presses the button just before a call of the first."""

    def __init__(self, world: World, at: int, begins: str, *, edge: bool = True) -> None:
        self.outcome: Outcome | None = None
        self._world, self._at, self._begins, self._edge = world, at, begins, edge
        self._number: int | None = None
        world.before = self._look

    def _look(self, call: str) -> None:
        if self._number is None and call.startswith(self._begins):
            self._number = -1
        if self._number is None:
            return
        self._number += 1
        if self._number == self._at:
            self._world.before = lambda call: None
            self._world.rewinds = False
            self.outcome = press(self._world, edge=self._edge)


def calls_of(act: Callable[[World], Outcome]) -> int:
    world = promoted()
    act(world)
    return len(world.calls)


@pytest.mark.parametrize("edge", [True, False])
def test_two_people_go_back_one_build_whenever_the_second_presses(edge: bool) -> None:
    for at in range(calls_of(lambda world: press(world, edge=edge))):
        world = promoted()
        second = Second(world, at, "", edge=edge)
        first = press(world, edge=edge)
        assert second.outcome is not None
        said = (at, first.result, first.reason, second.outcome.result, second.outcome.reason)
        assert world.running(STABLE) == "v1", said
        assert first.result in ENDED, said
        assert second.outcome.result in ENDED, said
        world.clock.t += 600
        assert world.running(STABLE) == "v1", said
        assert world.effective_share() == 0


@pytest.mark.parametrize("case", CASES)
def test_a_person_beside_an_automatic_way_back_goes_no_further(case: str) -> None:
    for at in range(len(way_back_of(case))):
        world = World()
        world.build("v2", **CASES[case])
        second = Second(world, at, "edge.kill")
        outcome = release(world, image("v2"), short=SHORTER)
        if second.outcome is None:
            continue
        said = (at, outcome.result, outcome.reason, second.outcome.result, second.outcome.reason)
        assert world.running(STABLE) == "v1", said
        assert outcome.exit_code != 0, said
        assert second.outcome.result in ENDED, said
        assert world.effective_share() == 0
        lapse(world)
        put_in_order(world)
        assert world.running(STABLE) == "v1", said
