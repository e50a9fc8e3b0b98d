"""How fast everybody is back: by a verdict, by the emergency stop, by a cancelled job."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.figures import Figure, median
from bench.load import NotMeasured
from sandbox.demo.cancelled import CANCELLED, cancel
from sandbox.demo.processes import NotReady
from sandbox.demo.world import ROOT, World
from slipway.clients.clock import SystemClock
from slipway.clients.edge import EdgeClient
from slipway.release.journal import Journal
from slipway.release.stop import Stop
from tests.edge.harness import TOKEN, Edge, Fleet, Surroundings, eventually

VERDICT_GOAL: Final = 200.0
STOP_GOAL: Final = 300.0
CANCEL_GOAL: Final = 5.0
_PATIENCE: Final = 10.0
"""Seconds in which every edge must have been seen at 0."""


async def measure(
    around: Surroundings, say: Callable[[str], None], *, rounds: int = 7
) -> list[Figure]:
    """Return the figures of three edges. Raises :class:`~bench.load.NotMeasured`."""
    say("verdict and emergency stop, three edges")
    return await asyncio.to_thread(_three_edges, around, rounds)


def _three_edges(around: Surroundings, rounds: int) -> list[Figure]:
    verdicts, confirmed, stops = [], [], []
    with around.fleet(3) as fleet:
        fleet.start()
        for number in range(rounds):
            edge = fleet.edges[number % len(fleet.edges)]
            _raised(fleet)
            zeros, told = _seen_at_zero(fleet.edges, lambda edge=edge: _verdict(edge))  # type: ignore[misc]
            verdicts.append(1000 * zeros)
            confirmed.append(1000 * told)
            _raised(fleet)
            zeros, _ = _seen_at_zero(fleet.edges, lambda edge=edge: _stop(edge))  # type: ignore[misc]
            stops.append(1000 * zeros)
    note = "each edge is asked again and again by a client of its own"
    return [
        median(
            "trip in the controller to share 0 at all of three edges",
            "ms",
            verdicts,
            goal=VERDICT_GOAL,
            note=f"{note}; slowest {max(verdicts):.0f} ms",
        ),
        median(
            "trip in the controller until it has read share 0 back",
            "ms",
            confirmed,
            goal=VERDICT_GOAL,
            note="the output seconds-to-zero, PostHog left out",
        ),
        median(
            "scripts/stop.py: start of its process to share 0 at all of three edges",
            "ms",
            stops,
            goal=STOP_GOAL,
            note=f"{note}; slowest {max(stops):.0f} ms",
        ),
    ]


def cancelled(say: Callable[[str], None], *, rounds: int = 3) -> list[Figure]:
    """Cancel real steps at 5 %, with the whole sandbox around. Raises ``NotMeasured``."""
    say("a cancelled job, with the whole sandbox")
    zeros, ends = [], []
    with tempfile.TemporaryDirectory(prefix="bench-back-") as directory:
        world = World(Path(directory), step=60, rate=80)
        try:
            world.start()
            for number in range(1, rounds + 1):
                version = f"v{number + 1}"
                commit = world.repository.commit(version, {})
                _, ended = cancel(world, CANCELLED, number, commit, say)
                if ended.seen is None:
                    raise NotMeasured("share 0 was not seen before the step had ended")
                zeros.append(ended.seen)
                ends.append(ended.seconds)
        except NotReady as problem:
            raise NotMeasured(str(problem)) from problem
        finally:
            world.stop()
    note = (
        "bash around the action's run line, signalled as GitHub's runner does; 5 % of 400 sellers"
    )
    return [
        median("cancelled job: SIGINT to share 0", "s", zeros, goal=CANCEL_GOAL, note=note),
        median(
            "cancelled job: SIGINT to the end of the step",
            "s",
            ends,
            goal=7.5,
            note="with somebody paged and GitHub told; SIGTERM comes after 7.5 s",
        ),
    ]


def _raised(fleet: Fleet) -> None:
    release = f"back-{fleet.world.version + 1}"
    version = fleet.world.publish(100, release=release)
    fleet.edges[0].canary(release, version)
    eventually(lambda: fleet.shares() == [100] * len(fleet.edges), within=10)


def _seen_at_zero(edges: Sequence[Edge], act: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds from the call of ``act`` until each edge was seen at 0, and to its end."""
    with ThreadPoolExecutor(len(edges)) as watchers:
        began = time.monotonic()
        seen = [watchers.submit(_at_zero, edge, began) for edge in edges]
        act()
        ended = time.monotonic() - began
        return max(one.result() for one in seen), ended


def _at_zero(edge: Edge, began: float) -> float:
    while time.monotonic() - began < _PATIENCE:
        if edge.state()["share"] == 0:
            return time.monotonic() - began
        time.sleep(0.002)
    raise NotMeasured(f"{edge.address} was not at 0 after {_PATIENCE:g} s")


def _verdict(edge: Edge) -> None:
    clock = SystemClock()
    client = EdgeClient(TOKEN, url=edge.base, sleep=clock.sleep)
    stop = Stop(edge=client, flags=None, key="", clock=clock, journal=Journal(clock))
    if stop.to_zero("5xx of the canary", release=None).edge is not None:
        raise NotMeasured("the edge has not confirmed share 0")


def _stop(edge: Edge) -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-I", "-S", str(ROOT / "scripts" / "stop.py")),
            *("--edge-url", edge.base, "--only", "edge"),
        ],
        env={"EDGE_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if ran.returncode != 0:
        raise NotMeasured(f"stop.py ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
