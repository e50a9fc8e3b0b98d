"""The agent's loops: HAProxy is kept equal to what is allowed, PostHog is polled, peers are heard.

Each runs for ever. An error that is not named here ends its loop, and with it the edge.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from .agent import Agent, NotSaved
from .diary import READ
from .haproxy import HAProxyError
from .tripwire import Tripwire
from .word import tag

log = logging.getLogger("slipway_edge")

TICK: Final = 0.25
"""Seconds between two comparisons of HAProxy with what is allowed; so late may a lapse be seen."""
GOSSIP: Final = 1.0
"""Seconds between two exchanges with all peers: a peer that was away hears as late of a kill."""


async def tick_forever(agent: Agent) -> None:
    """Settle several times a second: lapsed leases, drift, kills that could not be saved."""
    failing = False
    while True:
        try:
            await agent.settle()
            failing = False
        except HAProxyError as problem:
            if not failing:
                log.error("%s", problem)
            failing = True
        agent.save()
        await asyncio.sleep(TICK)


async def poll_forever(agent: Agent) -> None:
    """Poll PostHog, if it is this instance that does so for the fleet, and hand on what is new."""
    while True:
        agent.poll_now.clear()
        if agent.must_poll():
            before = tag(agent.memory.definition)
            await agent.poll()
            if tag(agent.memory.definition) != before:
                await agent.exchange()
        try:
            async with asyncio.timeout(agent.interval()):
                await agent.poll_now.wait()
        except TimeoutError:
            continue


async def gossip_forever(agent: Agent) -> None:
    """Hear the peers every second, and look at the tripwire."""
    tripwire = Tripwire()
    while True:
        try:
            await _gossip(agent, tripwire)
        except HAProxyError:
            pass  # the tick says so
        except NotSaved as problem:
            log.error("%s", problem)
        await asyncio.sleep(GOSSIP)


async def diary_forever(agent: Agent) -> None:
    """Note what the sellers of each bin meet while nobody is on the canary."""
    while True:
        with contextlib.suppress(HAProxyError):  # the tick says so
            await agent.diary.read()
        if agent.diary.due():
            await agent.diary.save()
        await asyncio.sleep(READ)


async def _gossip(agent: Agent, tripwire: Tripwire) -> None:
    await agent.peers.look_up()
    share = agent.decide().share
    heard = await agent.exchange(*(["counts"] if share > 0 else []))
    lease = agent.memory.living_lease(agent.clock())
    release = lease.release if lease is not None and agent.decide().share > 0 else None
    tripwire.watch(release)
    if release is None:
        return
    own = await agent.counts()
    for counters in (own, *(word.counts for _, word in heard.each())):
        if counters is not None:
            tripwire.read(counters, agent.clock())
    wrong = tripwire.verdict(agent.clock())
    if wrong is not None:
        log.error("%s: %s", release, wrong)
        await agent.kill(release, wrong)
