"""Agents of one fleet in one process: no HAProxy and no network between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slipway_edge.agent import Agent
from slipway_edge.cohort import BINS, Assignment
from slipway_edge.counters import Counts, Met, TrackCounts
from slipway_edge.diary import Diary
from slipway_edge.haproxy import Runtime
from slipway_edge.peers import Addresses, Peers
from slipway_edge.posthog import Definitions, Polls
from slipway_edge.state import Holder
from slipway_edge.totals import fleet_counts, fleet_habits
from slipway_edge.tripwire import Tripwire
from slipway_edge.word import wants
from tests.edge.harness import FLAG

MINE = Holder(run_id="1", attempt=1)


class Proxy(Runtime):
    """A HAProxy that holds what it is told. Its process has the id it has in every container."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere"))
        self.requests = self.errors = 0
        self.bins = (Met(),) * BINS

    async def apply(self, assignment: Assignment) -> bool:
        """Hold it."""
        return False

    async def counts(self) -> Counts:
        """Return what was counted."""
        none = TrackCounts(requests=0, errors=0, root_errors=0, latency=())
        canary = TrackCounts(
            requests=self.requests, errors=self.errors, root_errors=self.errors, latency=()
        )
        return Counts(
            epoch="7-1700000000",
            stable=none,
            canary=canary,
            bins=self.bins,
        )


class Wire(Peers):
    """Hands words to the other agents; those who are cut off are missing."""

    def __init__(self, instance: str, fleet: Fleet) -> None:
        super().__init__(Addresses(()), token="x", instance=instance)
        self.me, self.fleet = instance, fleet

    def present(self) -> frozenset[str]:
        """Return who is there."""
        return frozenset(self.fleet.agents) - {self.me}

    async def exchange(
        self,
        message: Callable[[str], Mapping[str, Any]],
        hear: Callable[[str, Mapping[str, Any]], None],
        *,
        timeout: float = 1.0,
    ) -> tuple[str, ...]:
        """Tell and hear all."""
        cut = self.fleet.cut
        others = sorted(self.present())
        heard = [name for name in others if not {name, self.me} & cut]
        for name in heard:
            said = message(name)
            answer = await self.fleet.agents[name].answer(said, wants(said))
            if name in self.fleet.old:
                del answer["habits"]
            hear(name, answer)
        return tuple(name for name in others if name not in heard)


class Fleet:
    """Agents with one clock."""

    def __init__(self, directory: Path, names: str = "abc") -> None:
        self.now = 0.0
        self.cut: set[str] = set()
        self.old: set[str] = set()
        """Those of a version that knows nothing of habits."""
        self.proxies = {name: Proxy() for name in names}
        self.agents: dict[str, Agent] = {}
        for name in names:
            self.agents[name] = Agent(
                flag_key=FLAG,
                runtime=self.proxies[name],
                polls=Polls(
                    Definitions(host="http://127.0.0.1:9", project_token="", secret_key="")
                ),
                peers=Wire(name, self),
                instance=name,
                latch_path=directory / name,
                diary=Diary(self.proxies[name], directory / f"{name}.json", FLAG, lambda: self.now),
                fast_poll=5,
                slow_poll=30,
                clock=lambda: self.now,
            )

    def remaining(self) -> list[float | None]:
        """Return each agent's seconds until its lease lapses."""
        leases = [agent.memory.living_lease(self.now) for agent in self.agents.values()]
        return [None if lease is None else lease.expires - self.now for lease in leases]


def test_instances_that_started_in_one_second_in_like_containers_are_told_apart(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path, "ab")
    one, two = fleet.agents.values()

    async def look(tripwire: Tripwire) -> str | None:
        for agent in (one, two):
            tripwire.read(await agent.counts(), fleet.now)
        fleet.now += 1
        return tripwire.verdict(fleet.now)

    async def play() -> None:
        total, _ = await fleet_counts(one)
        assert len(set(total["epoch"].split("+"))) == 2
        tripwire = Tripwire()
        tripwire.watch("r1")
        # What one has seen since its start is not what came since the last reading of the other.
        fleet.proxies["b"].requests, fleet.proxies["b"].errors = 1000, 900
        for _ in range(3):
            assert await look(tripwire) is None
        fleet.proxies["a"].requests, fleet.proxies["a"].errors = 30, 30
        assert await look(tripwire) is not None

    asyncio.run(play())


def test_a_renewal_that_is_answered_extends_the_lease_also_at_one_that_missed_others(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path)

    async def play() -> None:
        await fleet.agents["a"].renew("r1", MINE, 180)
        fleet.cut = {"c"}
        for _ in range(4):
            fleet.now += 20
            await fleet.agents["a"].renew("r1", MINE, 180)
        fleet.cut = set()
        fleet.now += 80
        done = await fleet.agents["c"].renew("r1", MINE, 180)
        assert done.missing == ()
        assert fleet.remaining() == [180, 180, 180]

    asyncio.run(play())


def test_a_lease_given_back_at_one_that_missed_renewals_is_given_back(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)

    async def play() -> None:
        await fleet.agents["a"].renew("r1", MINE, 180)
        fleet.cut = {"c"}
        for _ in range(4):
            await fleet.agents["a"].renew("r1", MINE, 180)
        fleet.cut = set()
        await fleet.agents["c"].give_back("r1", MINE)
        assert fleet.remaining() == [None, None, None]

    asyncio.run(play())


def test_habits_are_those_of_the_edges_that_keep_any_and_the_others_are_missing(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path)

    async def play() -> None:
        for name in "abc":
            await fleet_habits(fleet.agents[name])  # where their counting begins
            fleet.proxies[name].bins = (Met(10, 1),) * BINS
        fleet.old, fleet.now = {"b"}, 60.0
        told, missing = await fleet_habits(fleet.agents["a"])
        assert told.split(5) == (Met(20, 2), Met(380, 38))
        assert told.seconds == 60
        assert missing == ("b",)
        # With an edge of an older version a release goes on as before.
        done = await fleet.agents["a"].renew("r1", MINE, 180)
        assert done.missing == ()

    asyncio.run(play())
