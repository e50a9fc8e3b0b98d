"""The cohort in integers is PostHog's in floating point, and only grows with the share."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slipway_edge.cohort import (
    BINS,
    NOBODY,
    TOP,
    Assignment,
    bin_name,
    bins_map,
    bucket,
    normalise,
    threshold,
)

PERCENTS = st.floats(0, 100, allow_nan=False)
BUCKETS = st.integers(0, TOP)
SELLERS = st.text("abcxyz0189_.@:-", min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("flag", "seller", "expected"),
    [
        ("new-version", "seller_3", 126514512891702109),
        ("simple-flag", "distinct_id_1", 391655497148620903),
        ("new-version", "1234567890", 818819963709880579),
    ],
)
def test_a_bucket_is_posthogs(flag: str, seller: str, expected: int) -> None:
    assert bucket(flag, seller) == expected


@given(percent=PERCENTS, at=BUCKETS)
@example(percent=0.1, at=1152921504606847)
@example(percent=5.0, at=57646075230342356)
@example(percent=5.0, at=57646075230342357)
@example(percent=100.0, at=TOP)
def test_the_threshold_decides_as_posthogs_comparison_of_doubles(percent: float, at: int) -> None:
    assert (at <= threshold(percent)) == (at / float(0xFFFFFFFFFFFFFFF) <= percent / 100)


@given(percent=PERCENTS)
def test_the_threshold_is_exact_to_one_bucket(percent: float) -> None:
    last = threshold(percent)
    assert last / float(TOP) <= percent / 100
    assert last == TOP or (last + 1) / float(TOP) > percent / 100


@given(seller=SELLERS, low=PERCENTS, high=PERCENTS)
def test_raising_the_share_never_takes_a_seller_away(seller: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    smaller, larger = Assignment(others=threshold(low)), Assignment(others=threshold(high))
    assert not smaller.includes("f", seller) or larger.includes("f", seller)


@given(flag=SELLERS, seller=SELLERS)
def test_a_bucket_is_the_first_sixty_bits_of_the_hash(flag: str, seller: str) -> None:
    digest = hashlib.sha1(f"{flag}.{seller}".encode(), usedforsecurity=False).digest()
    assert bucket(flag, seller) == int.from_bytes(digest[:8], "big") >> 4


@given(seller=SELLERS)
def test_nobody_is_nobody(seller: str) -> None:
    assert not NOBODY.includes("f", seller)


@given(text=st.text(max_size=140))
def test_a_normalised_id_cannot_break_out_of_a_map_line(text: str) -> None:
    seller = normalise(text)
    if seller is not None:
        assert seller == text.lower()
        assert seller.isascii()
        assert not set(seller) & set(" \t\r\n;#*\\\"'")
        assert normalise(seller) == seller


BORDERS = [threshold(share) for share in range(5, 100, 5)]
RANGES = [
    (int(first), int(last), name)
    for first, last, name in (line.replace(":", " ").split() for line in bins_map().splitlines())
]


def test_every_bucket_is_in_one_bin_and_bins_are_in_order() -> None:
    assert [name for _, _, name in RANGES] == [bin_name(number) for number in range(BINS)]
    assert (RANGES[0][0], RANGES[-1][1]) == (0, TOP)
    assert [first for first, _, _ in RANGES[1:]] == [last + 1 for _, last, _ in RANGES[:-1]]


@given(at=BUCKETS | st.sampled_from([b + beside for b in BORDERS for beside in (-1, 0, 1)]))
def test_the_first_bins_are_exactly_those_whom_a_share_lets_in(at: int) -> None:
    (bin_,) = [n for n, (first, last, _) in enumerate(RANGES) if first <= at <= last]
    for share in range(5, 101, 5):
        assert (bin_ < share // 5) == (at / float(TOP) <= share / 100)
