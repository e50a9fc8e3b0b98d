"""How fast the edge takes everybody off the canary, and what a change of the share breaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.figures import Figure, median, ratios
from bench.load import Answer, Load, NotMeasured, Paced, wrk
from tests.edge.harness import Edge, Fleet, PostHog, Surroundings, World, eventually

POLL: Final = 5.0
"""Seconds: FAST_POLL's default."""
SLICE: Final = 25
"""Changes during one run of wrk."""
RATE: Final = 250.0
"""Requests per second at each of three edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often each is measured. ``phases``: seconds from a poll to the change in PostHog."""

    kills: int = 6
    phases: Sequence[float] = (0.5, 2.5, 4.5)
    changes: int = 100


async def measure(around: Surroundings, rounds: Rounds, say: Callable[[str], None]) -> list[Figure]:
    """Return the figures. Raises :class:`~bench.load.NotMeasured`."""
    with around.fleet(3) as fleet:
        for edge in fleet.edges:
            edge.environment |= {"FAST_POLL": f"{POLL:g}", "EDGE_THREADS": "1"}
        await asyncio.to_thread(fleet.start)
        say("kill, three edges")
        figures = await _kills(fleet, rounds.kills)
        say("PostHog alone")
        figures += await _posthog_alone(fleet, rounds.phases)
    with around.world() as world:
        world.edge.environment |= {"EDGE_THREADS": "1"}
        await asyncio.to_thread(world.edge.start)
        say(f"{rounds.changes} changes of the share")
        figures += await _changes(world, rounds.changes)
    return figures


def last_canary(answers: Sequence[Answer], since: float, edges: int) -> tuple[float, float]:
    """Return the seconds from ``since`` to the last answer of the canary, and to the next answers.

    The second is when every edge had been seen on stable: between two requests nobody can see the
    change, so that the first alone says too little where few are sent.
    Raises :class:`~bench.load.NotMeasured` unless every edge was on the canary before.
    """
    last = seen = since
    for edge in range(edges):
        mine = [a for a in answers if a.target == edge and a.ok]
        canary = [a.done for a in mine if a.canary]
        if not canary or min(canary) >= since:
            raise NotMeasured(f"edge {edge + 1} was not on the canary before the change")
        after = [a.done for a in mine if not a.canary and a.done > max(canary)]
        if not after:
            raise NotMeasured(f"edge {edge + 1} was not seen on stable after the change")
        last, seen = max(last, *canary), max(seen, min(after))
    return last - since, seen - since


async def _kills(fleet: Fleet, rounds: int) -> list[Figure]:
    taken, seen, failed, sent = [], [], 0, 0
    for number in range(rounds):
        release = f"kill-{fleet.world.version + 1}"
        await _raised(fleet, release)
        edge = fleet.edges[number % len(fleet.edges)]
        async with Paced(_addresses(fleet.edges), RATE) as load:
            await asyncio.sleep(0.7)
            posted = time.monotonic()
            answer = await asyncio.to_thread(edge.post, "kill", {"release": release})
            if answer.status_code != 200:
                raise NotMeasured(f"the kill was answered with {answer.status_code}: {answer.text}")
            await asyncio.sleep(0.7)
        last, stable = last_canary(load.answers, posted, len(fleet.edges))
        taken.append(last * 1000)
        seen.append(stable * 1000)
        failed += sum(not a.ok for a in load.answers)
        sent += len(load.answers)
    note = f"one kill at one of three edges, {3 * RATE:g} requests/s, everybody on the canary"
    worst = f"{note}; slowest {max(taken):.0f} ms"
    return [
        median("/kill to the last canary request", "ms", taken, goal=150, note=worst),
        median("/kill until every edge was seen on stable", "ms", seen, goal=150, note=note),
        _none_failed("failed requests during kills", failed, sent),
    ]


async def _posthog_alone(fleet: Fleet, phases: Sequence[float]) -> list[Figure]:
    taken, lags, failed, sent = [], [], 0, 0
    for phase in phases:
        await _raised(fleet, f"off-{fleet.world.version + 1}")
        async with Paced(_addresses(fleet.edges), RATE / 2) as load:
            await _next_poll(fleet.world.posthog)
            await asyncio.sleep(phase)
            changed = time.monotonic()
            fleet.world.publish(100, release=f"off-{fleet.world.version}", active=False)
            polled = await _next_poll(fleet.world.posthog)
            await asyncio.sleep(1.5)
        seconds, _ = last_canary(load.answers, changed, len(fleet.edges))
        taken.append(seconds)
        lags.append((changed + seconds - polled) * 1000)
        failed += sum(not a.ok for a in load.answers)
        sent += len(load.answers)
    note = f"poll interval {POLL:g} s; the stand-in serves a change at once, PostHog may be later"
    return [
        Figure(
            name="flag off in PostHog to the last canary request, slowest",
            value=max(taken),
            unit="s",
            goal=POLL + 0.5,
            samples=taken,
            note=note,
        ),
        median("of which after the poll that saw it", "ms", lags, note="three edges"),
        _none_failed("failed requests during changes in PostHog", failed, sent),
    ]


async def _changes(world: World, changes: int) -> list[Figure]:
    release = f"shares-{world.version + 1}"
    await asyncio.to_thread(world.raised, release, 50)
    calm: list[Load] = []
    moved: list[Load] = []
    watched: list[Answer] = []
    for first in range(0, changes, SLICE):
        calm.append(await wrk(world.edge.address, connections=16, seconds=3))
        async with Paced([(world.edge.host, world.edge.port)], 50) as watcher:
            load = asyncio.create_task(wrk(world.edge.address, connections=16, seconds=5))
            await asyncio.sleep(0.3)
            await _moves(world, release, min(SLICE, changes - first))
            if load.done():
                raise NotMeasured("the changes took longer than the load")
            moved.append(await load)
        watched += watcher.answers
    if {answer.canary for answer in watched if answer.ok} != {True, False}:
        raise NotMeasured("the share did not move anybody")
    failed = sum(each.failed for each in moved) + sum(not answer.ok for answer in watched)
    sent = sum(each.requests for each in moved) + len(watched)
    note = f"{changes} changes in PostHog, each seen in force at the edge; 16 connections of wrk"
    return [
        _none_failed("failed requests during changes of the share", failed, sent, note),
        median("p99 during changes of the share", "ms", [each.p99 for each in moved], note=note),
        median(
            "p99 during changes / without",
            "",
            ratios([each.p99 for each in moved], [each.p99 for each in calm]),
            note="in turns",
        ),
    ]


async def _moves(world: World, release: str, changes: int) -> None:
    """Change the share some ten times a second, each time to another one."""
    for number in range(changes):
        began = time.monotonic()
        share = 1 + (number * 37) % 99
        await asyncio.to_thread(world.raised, release, share)
        await asyncio.sleep(max(0.0, began + 0.1 - time.monotonic()))


async def _raised(fleet: Fleet, release: str) -> None:
    version = fleet.world.publish(100, release=release)

    def raise_all() -> None:
        state = fleet.edges[0].canary(release, version)
        if state["share"] != 100:
            raise NotMeasured(f"the canary did not begin: {state}")
        eventually(lambda: fleet.shares() == [100] * len(fleet.edges), within=10)

    await asyncio.to_thread(raise_all)


async def _next_poll(stub: PostHog) -> float:
    before, deadline = stub.polls, time.monotonic() + 3 * POLL
    while stub.polls == before:
        if time.monotonic() > deadline:
            raise NotMeasured("no edge polls PostHog")
        await asyncio.sleep(0.002)
    return time.monotonic()


def _addresses(edges: Sequence[Edge]) -> list[tuple[str, int]]:
    return [(edge.host, edge.port) for edge in edges]


def _none_failed(name: str, failed: int, sent: int, note: str = "") -> Figure:
    note = f"of {sent}" + (f"; {note}" if note else "")
    return Figure(name=name, value=failed, unit="requests", goal=0, samples=(failed,), note=note)
