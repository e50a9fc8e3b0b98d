"""What a look costs, and how large the judge's memory is: three metrics, much traffic."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import numpy as np

from bench.figures import Figure, median
from bench.judge.draws import BASE, TICK, alike, steady
from bench.judge.ours import ALPHA, STARTS, TOLERATED, readings
from slipway.judge import panel
from slipway.judge.lines import look_line
from slipway.judge.metric import Rule
from slipway.judge.panel import Panel, State

METRICS: Final = ("errors", "slow-replies", "slow-ai-calls")
RPS: Final = 1000
RELEASES: Final = 20
LOOK_MS: Final = 5.0
STATE_BYTES: Final = 4096


def measure() -> list[Figure]:
    """Judge some releases, and write each look's line as a release does."""
    rules = tuple(
        Rule(name=name, tolerated=TOLERATED, alpha=ALPHA / len(METRICS), least=3)
        for name in METRICS
    )
    looks, sizes = zip(*_each(Panel(rules=rules, starts=STARTS)), strict=True)
    return [
        median("a look at three metrics, and its line", "ms", looks, goal=LOOK_MS),
        Figure(
            name="the judge's state as JSON, at most",
            value=max(sizes),
            unit="bytes",
            goal=STATE_BYTES,
        ),
    ]


def _each(judge: Panel) -> Iterator[tuple[float, int]]:
    """Yield milliseconds and bytes of each look."""
    rng = np.random.default_rng(1)
    rates = steady(BASE)
    draws = [alike(rng, RELEASES, RPS, candidate=rates, control=rates) for _ in range(len(METRICS))]
    for release in zip(*(readings(each) for each in draws), strict=True):
        state = panel.begin(judge, State(), 0, dict.fromkeys(METRICS, 1.234567))
        for tick, seen in enumerate(zip(*release, strict=True), 1):
            counts = dict(zip(METRICS, seen, strict=True))
            began = time.perf_counter()
            state, verdict = panel.look(judge, state, float(TICK * tick), counts)
            line = look_line(judge, state, counts, verdict, "2026-01-01T00:00:00Z")
            json.dumps(line)
            took = time.perf_counter() - began
            yield 1000 * took, len(json.dumps(asdict(state)))
