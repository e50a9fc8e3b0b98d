"""Counters followed through restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.judge.followed import Followed

Steps = list[tuple[str, str, int, int]]

LIVES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["grows", "grows", "restarts under a new name", "restarts", "is away"]),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    max_size=40,
)


def test_it_counts_only_since_it_began() -> None:
    assert Followed({"a": (1000, 7)}).add({"a": (1100, 8)}) == (100, 1)


def test_nothing_has_been_counted_while_nothing_grew() -> None:
    assert Followed({"a": (1000, 7), "b": (3, 0)}).add({}) == (0, 0)


def test_without_any_counter_there_is_no_total() -> None:
    assert Followed({}).add({}) == ()


def test_a_counter_that_comes_counts_whole() -> None:
    followed = Followed({})
    assert followed.add({"b": (7, 1)}) == (7, 1)
    assert followed.add({"a": (2, 0), "b": (8, 1)}) == (10, 1)


@pytest.mark.parametrize("back", [(10, 1), (2000, 1), (10, 9)])
def test_any_component_that_goes_back_is_a_restart_and_all_is_new(back: tuple[int, int]) -> None:
    assert Followed({"a": (1000, 7)}).add({"a": back}) == back


def test_a_counter_that_vanishes_keeps_what_it_had() -> None:
    followed = Followed({"a": (1000, 0), "b": (5, 0)})
    followed.add({"a": (1010, 2), "b": (5, 0)})
    assert followed.add({"b": (6, 0)}) == (11, 2)


def test_a_counter_that_was_only_away_is_not_counted_twice() -> None:
    followed = Followed({"a": (1000, 0)})
    followed.add({})
    assert followed.add({"a": (1003, 1)}) == (3, 1)


def test_the_restart_of_one_does_not_bring_the_past_of_the_others() -> None:
    followed = Followed({"a": (5000, 90), "b": (1000, 0)})
    followed.add({"a": (5100, 90), "b": (1100, 0)})
    assert followed.add({"a": (5150, 90), "c": (10, 1)}) == (260, 1)


@given(LIVES)
def test_what_was_counted_in_sight_is_counted_once(steps: Steps) -> None:
    """A restart in place is only seen where a number goes back, so there one always does."""
    lives = dict.fromkeys("abc", 0)
    shown = {f"{name}0": (1000, 100) for name in "abc"}
    followed = Followed(shown)
    expected = (0, 0)
    for name, what, more, worse in steps:
        key = f"{name}{lives[name]}"
        old = shown.get(key, (0, 0))
        if what == "restarts under a new name":
            lives[name] += 1
            del shown[key]
            key, old = f"{name}{lives[name]}", (0, 0)
        elif what == "restarts":
            old = (0, 0)
            if more >= shown[key][0] and worse >= shown[key][1]:
                continue
        if what == "is away":
            assert followed.add({k: v for k, v in shown.items() if k != key}) == expected
            continue
        shown[key] = (old[0] + more, old[1] + worse)
        expected = (expected[0] + more, expected[1] + worse)
        assert followed.add(shown) == expected


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)), max_size=20))
def test_totals_never_go_back_whatever_is_read(readings: list[dict[str, int]]) -> None:
    followed = Followed({"a": (3,)})
    before: tuple[int, ...] = (0,)
    for reading in readings:
        now = followed.add({key: (value,) for key, value in reading.items()})
        assert now >= before
        before = now
