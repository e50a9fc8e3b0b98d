"""The order of the tests loses none, and gives each worker its share of the long ones first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.dealing import dealt

LONG = st.tuples(st.sampled_from("abcde"), st.integers(0, 9))
SHORT = st.tuples(st.just(""), st.integers(0, 99))


@given(st.lists(LONG | SHORT), st.integers(1, 4))
def test_none_is_lost_and_none_is_there_twice(items: list[tuple[str, int]], workers: int) -> None:
    assert sorted(dealt(items, workers, lambda item: item[0] or None)) == sorted(items)


def test_each_stretch_begins_with_whole_modules_of_long_ones() -> None:
    long = [(name, number) for name in "abc" for number in range(3)]
    short = [("", number) for number in range(21)]
    order = dealt([*short, *long], 3, lambda item: item[0] or None)
    stretches = [order[:10], order[10:20], order[20:]]
    assert [{name for name, _ in one[:3]} for one in stretches] == [{"a"}, {"b"}, {"c"}]
    assert [len([name for name, _ in one if name]) for one in stretches] == [3, 3, 3]
