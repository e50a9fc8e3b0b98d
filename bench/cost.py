"""What the edge costs: latency, throughput, and each rule of haproxy.cfg by itself.

All is measured in turns, A B A B, and compared within a round.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.figures import Figure, differences, median, percentile, ratios
from bench.load import Load, NotMeasured, Paced, wrk
from bench.proxies import Proxy, apart, proxies
from bench.variants import RULES, pass_through, without
from tests.edge.harness import Track

EDGE: Final = "edge"
PLAIN: Final = "pass-through"
CONTROL: Final = "nothing (control: a second, equal edge)"
NO_RULE: Final = "all of these rules"
TIME: Final = "HAProxy's user and system time while it is saturated"
MOST: Final = 64
"""Connections that saturate one proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often each is measured. A slice of wrk is one second."""

    alone: int = 8
    fixed: int = 4
    throughput: int = 7
    rules: int = 3
    fixed_rate: float = 300
    fixed_seconds: float = 3


def configurations(config: str) -> dict[str, str]:
    """Return all that are compared, by name. Raises :class:`~bench.variants.NothingMatches`."""
    return {
        EDGE: config,
        PLAIN: pass_through(config),
        CONTROL: config,
        **{rule.name: without(config, [rule]) for rule in RULES},
        NO_RULE: without(config, RULES),
    }


async def measure(
    config: str, stable: Track, canary: Track, rounds: Rounds, say: Callable[[str], None]
) -> list[Figure]:
    """Return the figures. Raises :class:`~bench.load.NotMeasured`."""
    direct = f"127.0.0.1:{stable.port}"
    pids = [t.process.pid for t in (stable, canary) if t.process is not None]
    async with proxies(configurations(config), stable.port, canary.port) as running:
        pair = {"direct": direct, PLAIN: running[PLAIN].address, EDGE: running[EDGE].address}
        say("latency, one connection")
        figures = await _alone(pair, rounds.alone)
        say("latency, fixed load")
        figures += await _fixed(stable.port, running[EDGE], rounds)
        with apart(running, *pids) as how:
            say("throughput")
            figures += await _throughput(
                direct, running[PLAIN], running[EDGE], rounds.throughput, how
            )
            say("each rule")
            figures += await _rules(running, rounds.rules)
    return figures


async def _slice(address: str, connections: int) -> Load:
    load = await wrk(address, connections=connections, seconds=1)
    if load.failed:
        raise NotMeasured(f"{load.failed} of {load.requests} requests failed on {address}")
    return load


async def _alone(addresses: Mapping[str, str], rounds: int) -> list[Figure]:
    loads: dict[str, list[Load]] = {name: [] for name in addresses}
    for _ in range(rounds):
        for name, address in addresses.items():
            loads[name].append(await _slice(address, 1))
    p50 = {name: [load.p50 for load in each] for name, each in loads.items()}
    p99 = {name: [load.p99 for load in each] for name, each in loads.items()}
    direct = f"direct: {statistics.median(p50['direct']):.3f} ms"
    return [
        median(
            "latency added at one connection, p50",
            "ms",
            differences(p50[EDGE], p50["direct"]),
            goal=0.15,
            note=direct,
        ),
        median(
            "latency added at one connection, p99",
            "ms",
            differences(p99[EDGE], p99["direct"]),
            note=f"direct: {statistics.median(p99['direct']):.3f} ms",
        ),
        median(
            "latency added by a pass-through at one connection, p50",
            "ms",
            differences(p50[PLAIN], p50["direct"]),
            note=direct,
        ),
    ]


async def _fixed(direct: int, edge: Proxy, rounds: Rounds) -> list[Figure]:
    added: dict[float, list[float]] = {50: [], 99: []}
    for _ in range(rounds.fixed):
        targets = [("127.0.0.1", direct), ("127.0.0.1", edge.port)]
        async with Paced(targets, rounds.fixed_rate) as load:
            await asyncio.sleep(rounds.fixed_seconds)
        if not all(answer.ok for answer in load.answers):
            raise NotMeasured("requests failed at the fixed load")
        taken = [[a.milliseconds for a in load.answers if a.target == t] for t in range(2)]
        for percent, each in added.items():
            each.append(percentile(taken[1], percent) - percentile(taken[0], percent))
    note = f"{rounds.fixed_rate:g} requests/s to each of the two, in turns, by a Python client"
    return [
        median(f"latency added at a fixed load, p{percent:g}", "ms", each, note=note)
        for percent, each in added.items()
    ]


async def _throughput(
    direct: str, plain: Proxy, edge: Proxy, rounds: int, how: str
) -> list[Figure]:
    rates: dict[str, list[float]] = {"direct": [], PLAIN: [], EDGE: []}
    spent: dict[str, list[float]] = {PLAIN: [], EDGE: []}
    for _ in range(rounds):
        rates["direct"].append((await _slice(direct, MOST)).rate)
        for name, proxy in ((PLAIN, plain), (EDGE, edge)):
            load, microseconds = await _busy(proxy)
            rates[name].append(load.rate)
            spent[name].append(microseconds)
    headroom = min(ratios(rates["direct"], rates[PLAIN]))
    note = f"{how}; {MOST} connections"
    return [
        median(
            "throughput of the edge / pass-through",
            "",
            ratios(rates[EDGE], rates[PLAIN]),
            goal=0.45,
            better="higher",
            note=note,
        ),
        median("throughput of the edge", "requests/s", rates[EDGE], note=note),
        median("throughput of the pass-through", "requests/s", rates[PLAIN], note=note),
        median(
            "throughput of the upstream alone",
            "requests/s",
            rates["direct"],
            note=f"at least {headroom:.2f} times the pass-through in each round",
        ),
        median("processor time of the edge", "µs/request", spent[EDGE], note=TIME),
        median("processor time of the pass-through", "µs/request", spent[PLAIN], note=TIME),
        median(
            "processor time of the pass-through / edge",
            "",
            ratios(spent[PLAIN], spent[EDGE]),
            note="the same comparison as of throughput, less what others took from the machine",
        ),
    ]


async def _rules(running: Mapping[str, Proxy], rounds: int) -> list[Figure]:
    names = [name for name in running if name not in (EDGE, PLAIN)]
    saved: dict[str, list[float]] = {name: [] for name in names}
    chance = random.Random(7)
    for _ in range(rounds):
        _, before = await _busy(running[EDGE])
        for name in chance.sample(names, len(names)):
            _, cut = await _busy(running[name])
            _, after = await _busy(running[EDGE])
            saved[name].append((before + after) / 2 - cut)
            before = after
    note = "the edge right before and after, less the edge without this"
    return [
        median(f"processor time for {name}", "µs/request", saved[name], note=note) for name in names
    ]


async def _busy(proxy: Proxy) -> tuple[Load, float]:
    """Return a slice of load on a proxy, and the processor time of a request in microseconds.

    That time shows much less than the rate what others take from the machine meanwhile.
    """
    before = proxy.processor_seconds()
    load = await _slice(proxy.address, MOST)
    return load, (proxy.processor_seconds() - before) / load.requests * 1e6
