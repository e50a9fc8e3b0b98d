"""Through the real HAProxy, exactly the sellers that PostHog's own SDK lets in go to the canary."""

from __future__ import annotations

import asyncio
import random
import re
import uuid
from typing import Any

import pytest
from posthog import Posthog

from tests.edge.harness import FLAG, World

CONNECTIONS = 8
PIPELINED = 40


def sellers(count: int) -> list[str]:
    """Return different seller ids of the kinds in use: page ids, names, UUIDs, e-mail-like."""
    chance = random.Random(7)
    kinds = [
        lambda i: str(10**14 + chance.randrange(10**14)),
        lambda i: f"seller_{i}",
        lambda i: str(uuid.UUID(int=chance.getrandbits(128))),
        lambda i: f"u{i}@shop-{i % 97}.example.com",
    ]
    return list(dict.fromkeys(kinds[i % 4](i) for i in range(count)))


def sdk_says(flag: dict[str, Any], ids: list[str]) -> set[str]:
    """Return who is in by local evaluation of the official SDK."""
    client = Posthog("phc_test", host="http://127.0.0.1:1", send=False, sync_mode=True)
    client.feature_flags = [flag]
    snapshot = client._local_evaluation_snapshot()
    return {
        seller
        for seller in ids
        if client._compute_flag_locally(
            flag, seller, person_properties={"distinct_id": seller}, _definition_snapshot=snapshot
        )
    }


async def edge_says(port: int, ids: list[str]) -> set[str]:
    """Ask the edge about every seller; return who is answered by the canary."""
    left, found = list(ids), set()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left:
            batch = [left.pop() for _ in range(min(PIPELINED, len(left)))]
            for seller in batch:
                writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nX-Seller-Id: {seller}\r\n\r\n".encode())
            for seller in batch:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = re.search(r"content-length: (\d+)", head)
                assert head.startswith("http/1.1 200") and length, head  # noqa: PT018
                await reader.readexactly(int(length[1]))
                if "x-served-by: canary" in head:
                    found.add(seller)
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(20):
        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return found


@pytest.mark.parametrize(("share", "count"), [(5, 20_000), (0.1, 4_000), (50, 2_000)])
def test_edge_and_sdk_agree_on_every_seller(shared: World, share: float, count: int) -> None:
    ids = sellers(count)
    shared.raised(f"equal-{share}", share)
    expected = sdk_says(shared.posthog.flags[0], ids)
    assert 0 < len(expected) < count
    assert asyncio.run(edge_says(shared.edge.port, ids)) == expected


def test_edge_and_sdk_agree_on_named_sellers(shared: World) -> None:
    ids = sellers(400)
    plain = shared.posthog
    expected_groups = [
        {"properties": [_about("exact", ids[:3])], "rollout_percentage": 100},
        {"properties": [_about("exact", ids[3:200])], "rollout_percentage": 30},
        {"properties": [_about("is_not", ids[1:2] + ids[300:310])], "rollout_percentage": 40},
    ]
    shared.raised("named", 40, groups=expected_groups)
    expected = sdk_says(plain.flags[0], ids)
    assert set(ids[:3]) <= expected
    assert asyncio.run(edge_says(shared.edge.port, ids)) == expected


def test_an_id_is_the_same_seller_in_any_case(shared: World) -> None:
    ids = [f"seller-{i}" for i in range(100)]
    shared.raised("case", 50)
    assert shared.posthog.flags[0]["key"] == FLAG
    lower = asyncio.run(edge_says(shared.edge.port, ids))
    upper = asyncio.run(edge_says(shared.edge.port, [seller.upper() for seller in ids]))
    assert {seller.lower() for seller in upper} == lower
    assert 20 < len(lower) < 80


def _about(operator: str, ids: list[str]) -> dict[str, Any]:
    return {"key": "distinct_id", "type": "person", "operator": operator, "value": ids}
