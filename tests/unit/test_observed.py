"""What is said of how instances were replaced is what was seen, and never more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.release.observed import MOST_STEPS, Observed, of_instances, of_static_site, steps

BEFORE = frozenset("abc")


def said(*looks: str) -> Observed:
    """Each look is the listed ids; small letters are old, capitals are new."""
    return of_instances(BEFORE, [frozenset(look) for look in looks])


@pytest.mark.parametrize(
    ("looks", "word"),
    [
        (("abcA", "bcA", "bcAB", "cAB", "cABC", "ABC"), "one-by-one"),
        (("abc", "abcA", "bcA", "bcA", "bcAB", "cAB", "cABC", "ABC", "ABC"), "one-by-one"),
        (("abcABC", "ABC"), "all-at-once"),
        (("abcAB", "abcABC", "bABC", "ABC"), "all-at-once"),
    ],
)
def test_both_ways_of_render_are_told_apart(looks: tuple[str, ...], word: str) -> None:
    assert said(*looks) == word


@pytest.mark.parametrize(
    "looks",
    [
        (),
        ("abc",),
        ("ABC",),  # nothing was seen in between
        ("abcAB", "cAB", "cABC", "ABC"),  # two at once
        ("abcA", "bcA", "cABC", "ABC"),  # a look was missed
        ("bc", "bcA", "cA", "cAB", "AB", "ABC"),  # an old one left before a new one came
        ("abcA", "bcA", "bcAB", "cAB"),  # not ended
        ("abcA", "bcA", "bcAB", "cAB", "abcAB", "abcABC", "ABC"),  # went back and came again
        ("abcA", "abcB", "bcB", "bcAB", "cAB", "cABC", "ABC"),  # a new one was lost
        ("abcAB", "bABC", "ABC"),  # whether the first old one left before the last new one came
        ("abcABCD", "ABCD"),  # another count than before: autoscaling
        ("",),
    ],
)
def test_what_was_not_seen_is_unclear(looks: tuple[str, ...]) -> None:
    assert said(*looks) is Observed.UNCLEAR


def test_one_instance_is_replaced_one_by_one() -> None:
    one = frozenset("a")
    assert of_instances(one, [frozenset("aA"), frozenset("A")]) is Observed.ONE_BY_ONE
    assert of_instances(one, [frozenset("A")]) is Observed.UNCLEAR
    assert of_instances(frozenset(), [frozenset("A")]) is Observed.UNCLEAR


looks = st.lists(st.frozensets(st.sampled_from("abcABCD")), max_size=8)


@given(looks)
def test_any_sequence_gives_one_word_that_the_looks_bear_out(seen: list[frozenset[str]]) -> None:
    word = of_instances(BEFORE, seen)
    stages = [(len(look & BEFORE), len(look - BEFORE)) for look in seen]
    if word is Observed.ONE_BY_ONE:
        assert max(sum(stage) for stage in stages) == 4
        assert any(old and new for old, new in stages)
        assert stages[-1] == (0, 3)
    elif word is Observed.ALL_AT_ONCE:
        assert (3, 3) in stages
        assert not any(old < 3 and new < 3 for old, new in stages)
        assert stages[-1] == (0, 3)
    else:
        assert word is Observed.UNCLEAR


@given(st.data())
def test_a_rollout_that_was_seen_whole_is_named(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    old, new = [f"old{n}" for n in range(count)], [f"new{n}" for n in range(count)]
    one_by_one = []
    for n in range(count):
        one_by_one += [old[n:] + new[: n + 1], old[n + 1 :] + new[: n + 1]]
    leaving = sorted(data.draw(st.sets(st.integers(0, count))) | {count})
    all_at_once = [old + new[: data.draw(st.integers(0, count))], old + new]
    all_at_once += [old[left:] + new for left in leaving]
    for sequence, word in (
        (one_by_one, Observed.ONE_BY_ONE),
        (all_at_once, Observed.ALL_AT_ONCE),
    ):
        repeated = [look for look in sequence for _ in range(data.draw(st.integers(1, 3)))]
        assert of_instances(frozenset(old), [frozenset(look) for look in repeated]) is word


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        (["v1", "v2"], "atomic-static"),
        (["v2"], "atomic-static"),
        (["v1", "v2", "v1", "v2"], "unclear"),
        (["v1", "v0", "v2"], "unclear"),
        (["v1"], "unclear"),
        ([], "unclear"),
    ],
)
def test_a_static_site_is_atomic_where_no_old_answer_follows_a_new_one(
    answers: list[str], word: str
) -> None:
    assert of_static_site("v1", "v2", answers) == word


def test_the_steps_are_said_in_their_order_and_none_twice_in_a_row() -> None:
    looks = [frozenset(look) for look in ("abc", "abcA", "abcA", "bcA", "ABC")]
    assert steps(BEFORE, looks) == "3+0, 3+1, 2+1, 0+3"
    many = frozenset(f"old{n}" for n in range(30))
    gone = [many - {f"old{n}" for n in range(left)} for left in range(31)]
    said = steps(many, gone)
    assert said.startswith("30+0, 29+0, ")
    assert said.endswith(", 1+0, 0+0")
    assert said.count(", ") == MOST_STEPS
