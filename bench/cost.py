"""What the edge costs: latency, throughput, and each rule of haproxy.cfg by itself.

All is measured in turns, A B A B, and compared within a round.
"""

from __future__ import annotations

import asyncio
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
NO_RULE: Final = "all of these"
MOST: Final = 64
"""Connections that saturate one proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often each is measured. A slice of wrk is one second."""

    alone: int = 8
    fixed: int = 4
    throughput: int = 10
    rules: int = 4
    fixed_rate: float = 300
    fixed_seconds: float = 3


def configurations(config: str) -> dict[str, str]:
    """Return all that are compared, by name. Raises :class:`~bench.variants.NothingMatches`."""
    return {
        EDGE: config,
        PLAIN: pass_through(config),
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
            figures += await _throughput(pair, rounds.throughput, how)
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


async def _throughput(addresses: Mapping[str, str], rounds: int, how: str) -> list[Figure]:
    rates: dict[str, list[float]] = {name: [] for name in addresses}
    for _ in range(rounds):
        for name, address in addresses.items():
            rates[name].append((await _slice(address, MOST)).rate)
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
    ]


async def _rules(running: Mapping[str, Proxy], rounds: int) -> list[Figure]:
    names = [name for name in running if name not in (EDGE, PLAIN)]
    saved: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        before = await _slice(running[EDGE].address, MOST)
        for name in names:
            cut = await _slice(running[name].address, MOST)
            after = await _slice(running[EDGE].address, MOST)
            saved[name].append(rule_cost(before.rate, cut.rate, after.rate))
            before = after
    return [
        median(f"cost of a rule: {name}", "µs/request", saved[name], note="of one processor")
        for name in names
    ]


def rule_cost(before: float, cut: float, after: float) -> float:
    """Return what a rule costs, in microseconds of a saturated processor for each request.

    ``cut`` is the rate (requests per second) without the rule, ``before`` and ``after`` are those
    with all rules, measured right before and right after.
    """
    return 1e6 * ((1 / before + 1 / after) / 2 - 1 / cut)
