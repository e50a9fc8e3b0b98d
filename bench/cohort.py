"""``make cohort``: who the edge lets in, against PostHog's own SDK, seller by seller."""

from __future__ import annotations

import asyncio
import random
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from posthog import Posthog

from tests.edge.harness import World

SHARES: Final = (0.1, 5.0, 50.0, 100.0)
"""Percent."""
CONNECTIONS: Final = 8
PIPELINED: Final = 50
_LENGTH: Final = re.compile(rb"\ncontent-length: *(\d+)", re.I)
_CANARY: Final = re.compile(rb"\nx-served-by: *canary\r", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One state of the flag that everybody is asked about."""

    name: str
    share: float
    how: dict[str, Any] = field(default_factory=dict)
    """More of :func:`tests.edge.harness.definition`."""
    nobody: bool = False
    """The edge must let nobody in, whatever the SDK says of the sellers named in the flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the SDK and the edge said about the same sellers."""

    case: Case
    asked: int
    sdk: frozenset[str]
    edge: frozenset[str]

    @property
    def mismatches(self) -> frozenset[str]:
        """The sellers about whom the edge is wrong."""
        return self.edge if self.case.nobody else self.edge ^ self.sdk


class Unanswered(Exception):
    """The edge did not answer about a seller with 200."""


def sellers(count: int) -> list[str]:
    """Return ``count`` different ids of the kinds in use, some of them in capitals.

    Page ids, numbered names, UUIDs, e-mail-like; the same ones each time. Different in lower case.
    """
    chance = random.Random(7)
    kinds = [
        lambda i: str(10**14 + chance.randrange(10**14)),
        lambda i: f"{'Seller' if i % 8 == 1 else 'seller'}_{i}",
        lambda i: str(uuid.UUID(int=chance.getrandbits(128))),
        lambda i: f"u{i}@{'Shop' if i % 8 == 3 else 'shop'}-{i % 97}.example.com",
        lambda i: str(uuid.UUID(int=chance.getrandbits(128))).upper(),
    ]
    found: dict[str, str] = {}
    i = 0
    while len(found) < count:
        seller = kinds[i % len(kinds)](i)
        found.setdefault(seller.lower(), seller)
        i += 1
    return list(found.values())


def cases(ids: Sequence[str]) -> list[Case]:
    """Return the states to compare in: each share with sellers named, then two that are nobody's.

    Three sellers are named, one is excluded. The flag writes one of them in capitals.
    """
    named, excluded = [ids[0], ids[1].upper(), ids[2]], [ids[3]]

    def groups(share: float) -> list[dict[str, Any]]:
        return [
            {"properties": [about("exact", named)], "rollout_percentage": 100},
            {"properties": [about("is_not", excluded)], "rollout_percentage": share},
        ]

    return [
        *(Case(name=f"{s:g} %", share=s, how={"groups": groups(s)}) for s in SHARES),
        Case(
            name="0 %, named only",
            share=0,
            how={"groups": groups(0)[:1]},
            nobody=True,
        ),
        Case(
            name="inactive",
            share=50,
            how={"groups": groups(50), "active": False},
            nobody=True,
        ),
    ]


def about(operator: str, ids: Sequence[str]) -> dict[str, Any]:
    """Return a flag's condition on the seller's id."""
    return {"key": "distinct_id", "type": "person", "operator": operator, "value": list(ids)}


def compare(world: World, case: Case, ids: Sequence[str]) -> Compared:
    """Publish the case as a release of its own and ask both. Raises :class:`Unanswered`."""
    release = f"cohort-{world.version + 1}"
    version = world.publish(case.share, release=release, **case.how)
    state = world.edge.canary(release, version)
    expected = 0 if case.nobody else case.share
    if state["share"] != expected:
        raise Unanswered(f"{case.name}: the edge's share is {state['share']}, not {expected}")
    return Compared(
        case=case,
        asked=len(ids),
        sdk=frozenset(sdk_says(world.posthog.flags[0], ids)),
        edge=frozenset(asyncio.run(edge_says(world.edge.port, ids))),
    )


def sdk_says(flag: dict[str, Any], ids: Sequence[str]) -> set[str]:
    """Return who is in, in lower case, by local evaluation of the official SDK."""
    client = Posthog("phc_test", host="http://127.0.0.1:1", send=False, sync_mode=True)
    client.feature_flags = [flag]
    snapshot = client._local_evaluation_snapshot()
    return {
        seller
        for seller in (each.lower() for each in ids)
        if client._compute_flag_locally(
            flag, seller, person_properties={"distinct_id": seller}, _definition_snapshot=snapshot
        )
    }


async def edge_says(port: int, ids: Sequence[str]) -> set[str]:
    """Ask the edge about every seller as written; return, in lower case, whom the canary answered.

    Raises :class:`Unanswered`, and ``TimeoutError`` where it takes 20 s and 1 ms for each seller.
    """
    left, found = list(ids), set()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while left:
                batch = [left.pop() for _ in range(min(PIPELINED, len(left)))]
                lines = (f"GET / HTTP/1.1\r\nHost: x\r\nX-Seller-Id: {s}\r\n\r\n" for s in batch)
                writer.write("".join(lines).encode())
                for seller in batch:
                    if await _canary_answers(reader):
                        found.add(seller.lower())
        finally:
            writer.close()

    async with asyncio.timeout(20 + len(ids) / 1000), asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(ask())
    return found


async def _canary_answers(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200") or length is None:
        raise Unanswered(f"the edge answered {head[:200]!r}")
    await reader.readexactly(int(length[1]))
    return _CANARY.search(head) is not None
