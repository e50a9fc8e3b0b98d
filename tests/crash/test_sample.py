"""A sample of the crash points, and that the simulator can fail. ``make crash`` plays them all."""

from __future__ import annotations

import math
from itertools import islice

import pytest

from tests.crash.cases import Case, calls_of, every_case
from tests.crash.checks import play
from tests.crash.wire import Fault
from tests.unit.world import World

EVERY = 67
"""Every so-manieth case is played here: some 1,300 of them. A prime, so that no kind
is left out."""
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_dies_everybody_ends_on_a_build_that_passed_and_the_record_says_which(
    part: int,
) -> None:
    failures = [
        f"{failure.what}\n{failure.detail}\nmake crash CASE={failure.case}"
        for case in islice(every_case(), part * EVERY, None, PARTS * EVERY)
        for failure in play(case)[0]
    ]
    assert not failures, "\n\n".join(failures)


class LeaseNeverEnds(World):
    """An edge that forgets that a lease ends."""

    def effective_share(self) -> float:
        lease = self.lease
        if lease is not None:
            self.lease = (lease[0], lease[1], math.inf)
        try:
            return super().effective_share()
        finally:
            self.lease = lease


def _died_at(call: str, follow_up: str, timing: str = "now") -> Case:
    at = calls_of("good", "wait").index(call) + 1
    return Case(
        base="good",
        fault=Fault(at, "after"),
        policy="wait",
        follow_up=follow_up,
        timing=timing,
    )


def test_an_edge_whose_lease_never_ends_is_found_out() -> None:
    case = _died_at("flags.write canary", "nothing")
    assert not play(case)[0]
    assert [failure.what for failure in play(case, LeaseNeverEnds)[0]] == ["the share is not 0"]


def test_a_case_is_played_again_by_what_is_printed_of_it() -> None:
    for case in islice(every_case(), 0, None, 997):
        assert Case.read(str(case)) == case
