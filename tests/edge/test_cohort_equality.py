"""Through the real HAProxy, exactly the sellers that PostHog's own SDK lets in go to the canary.

A sample of what ``make cohort IDS=100000`` asks, by the same code.
"""

from __future__ import annotations

import asyncio

import pytest

from bench.cohort import Case, about, cases, compare, edge_says, sellers
from tests.edge.harness import World

SAMPLE = sellers(3000)


@pytest.mark.parametrize("case", cases(SAMPLE), ids=lambda case: case.name)
def test_edge_and_sdk_agree_on_every_seller(shared: World, case: Case) -> None:
    compared = compare(shared, case, SAMPLE)
    assert compared.asked == 3000
    assert compared.mismatches == frozenset()


def test_the_sample_has_named_and_excluded_sellers_and_more_with_each_share(shared: World) -> None:
    named = {seller.lower() for seller in SAMPLE[:3]}
    sizes = []
    for case in cases(SAMPLE)[:4]:
        compared = compare(shared, case, SAMPLE[:300])
        assert named <= compared.edge
        assert SAMPLE[3].lower() not in compared.edge
        sizes.append(len(compared.edge))
    assert sizes == sorted(sizes)
    assert sizes[-1] == 299


def test_nobody_is_in_where_the_share_is_0_or_the_flag_inactive(shared: World) -> None:
    for case in cases(SAMPLE)[4:]:
        assert compare(shared, case, SAMPLE[:300]).edge == frozenset()


def test_edge_and_sdk_agree_on_named_sellers(shared: World) -> None:
    ids = sellers(400)
    groups = [
        {"properties": [about("exact", ids[:3])], "rollout_percentage": 100},
        {"properties": [about("exact", ids[3:200])], "rollout_percentage": 30},
        {"properties": [about("is_not", ids[1:2] + ids[300:310])], "rollout_percentage": 40},
    ]
    compared = compare(shared, Case(name="named", share=40, how={"groups": groups}), ids)
    assert {seller.lower() for seller in ids[:3]} <= compared.sdk
    assert compared.mismatches == frozenset()


def test_an_id_is_the_same_seller_in_any_case(shared: World) -> None:
    ids = [f"seller-{i}" for i in range(100)]
    shared.raised("case", 50)
    lower = asyncio.run(edge_says(shared.edge.port, ids))
    upper = asyncio.run(edge_says(shared.edge.port, [seller.upper() for seller in ids]))
    assert upper == lower
    assert 20 < len(lower) < 80
