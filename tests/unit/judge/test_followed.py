"""Counters that only grow, followed through restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slipway.judge.followed import Followed


def test_only_what_came_since_it_began_is_counted() -> None:
    followed = Followed({"a": (1000, 7)})
    assert followed.add({"a": (1100, 8)}) == (100, 1)


def test_a_restart_loses_nothing_that_was_seen() -> None:
    followed = Followed({"a": (1000, 50)})
    followed.add({"a": (1100, 60)})
    assert followed.add({"b": (30, 2)}) == (130, 12)


def test_a_number_that_goes_back_is_a_restart_too() -> None:
    followed = Followed({"a": (1000, 50)})
    assert followed.add({"a": (10, 1)}) == (10, 1)
    assert followed.add({"a": (12, 0)}) == (22, 1)


def test_where_one_restarts_the_past_of_the_others_is_not_counted_again() -> None:
    followed = Followed({"a": (5000, 90), "b": (1000, 0)})
    followed.add({"a": (5100, 90), "b": (1100, 0)})
    assert followed.add({"a": (5150, 90), "c": (10, 1)}) == (260, 1)


def test_one_that_comes_brings_what_it_has_and_one_that_goes_takes_nothing() -> None:
    followed = Followed({"a": (100, 0)})
    assert followed.add({"a": (110, 0), "b": (7, 1)}) == (17, 1)
    assert followed.add({"b": (9, 1)}) == (19, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), min_size=1, max_size=30))
def test_it_never_goes_back(steps: list[tuple[bool, int]]) -> None:
    life = total = grown = 0
    followed = Followed({"0": (0,)})
    for restart, more in steps:
        if restart:
            life, total = life + 1, 0
        total, grown = total + more, grown + more
        assert followed.add({str(life): (total,)}) == (grown,)
