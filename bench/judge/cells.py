"""What is simulated: conditions, traffic and ratios, and how often each."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from bench.judge import sellers
from bench.judge.draws import BASE, OUTAGE, SECONDS, Draws, Floats, alike, between, steady
from bench.judge.ours import LEVEL

RPS: Final = (10, 50, 100, 500, 1000)
"""Requests per second of candidate and control together."""
ONSET: Final = SECONDS / 2
"""Of what begins late, in seconds."""
SHARED: Final = 20.0
"""Times the usual errors, of both, in an incident that both share."""
RETRIES: Final = 3
"""How often a failure is logged, where there are retries."""
SEED: Final = 20261124
CHUNK: Final = 500
"""Releases that are drawn at a time."""

Condition = Literal[
    "identical",
    "immediate",
    "late",
    "sellers",
    "sellers-raw",
    "retries",
    "retries-raw",
    "shared-incident",
    "shared-incident-late",
]
RATIOS: Final[dict[Condition, tuple[float, ...]]] = {
    "identical": (1,),
    "immediate": (1.15, 2, 5, 20, OUTAGE),
    "late": (1.15, 2, 5, 20, OUTAGE),
    "sellers": (1, 2, 5, 20, OUTAGE),
    "sellers-raw": (1, 2, 5, 20, OUTAGE),
    "retries": (1, 5, 20),
    "retries-raw": (1, 5, 20),
    "shared-incident": (1,),
    "shared-incident-late": (1,),
}
INCIDENTS: Final[dict[Condition, tuple[float, float]]] = {
    "shared-incident": (0, 120),
    "shared-incident-late": (240, 360),
}
"""From and until when, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of releases."""

    condition: Condition
    rps: int
    ratio: float

    @property
    def onset(self) -> float:
        """When the candidate becomes bad: seconds since the step began."""
        return ONSET if self.condition.startswith("late") else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is drawn together: all ratios of a condition, and a variant of it on the same draws."""

    conditions: tuple[Condition, ...]
    rps: int
    number: int
    """Which chunk of releases; from 0."""
    runs: int


def batches(runs: int, null_runs: int) -> Iterator[Batch]:
    """Return all work. ``null_runs``: releases of a cell in which the candidate is identical."""
    groups: tuple[tuple[Condition, ...], ...] = (
        ("sellers", "sellers-raw"),
        ("retries", "retries-raw"),
        ("identical",),
        ("shared-incident",),
        ("shared-incident-late",),
        ("immediate",),
        ("late",),
    )
    for group in groups:
        most = null_runs if 1 in RATIOS[group[0]] else runs
        # What takes longest comes first, so that no processor ends alone.
        for rps in reversed(RPS):
            for number, begin in enumerate(range(0, most, CHUNK)):
                yield Batch(conditions=group, rps=rps, number=number, runs=min(CHUNK, most - begin))


def draw(batch: Batch, runs: int) -> Iterator[tuple[Cell, Draws]]:
    """Draw the batch's cells. Beyond ``runs`` releases only good candidates are drawn."""
    if batch.conditions[0] in ("sellers", "retries"):
        yield from _of_sellers(batch, runs)
        return
    (condition,) = batch.conditions
    shifts = sellers.shifts_where_alike(_rng(condition, batch), batch.runs, batch.rps, LEVEL)
    for ratio in RATIOS[condition]:
        cell = Cell(condition=condition, rps=batch.rps, ratio=ratio)
        candidate, control = _rates(cell)
        drawn = alike(
            _rng(condition, batch, ratio),
            batch.runs,
            batch.rps,
            candidate=candidate,
            control=control,
        )
        yield cell, replace(drawn, shifts=shifts)


def _rates(cell: Cell) -> tuple[Floats, Floats]:
    """Return the probability of an error of candidate and control in each tick."""
    if cell.condition in INCIDENTS:
        both = between(BASE, BASE * SHARED, *INCIDENTS[cell.condition])
        return both, both
    return between(BASE, BASE * cell.ratio, cell.onset, SECONDS), steady(BASE)


def _of_sellers(batch: Batch, runs: int) -> Iterator[tuple[Cell, Draws]]:
    condition, raw_condition = batch.conditions
    retries = condition == "retries"
    times = RETRIES if retries else 1
    rng = _rng(condition, batch)
    people = sellers.population(rng, batch.runs, batch.rps, differ=not retries)
    shifts = sellers.shifts(rng, people, LEVEL)
    for ratio in RATIOS[condition]:
        if ratio != 1 and batch.number * CHUNK >= runs:
            continue
        drawn = sellers.release(
            _rng(condition, batch, ratio), people, ratio, times=times, shifts=shifts
        )
        yield Cell(condition=condition, rps=batch.rps, ratio=ratio), drawn
        if batch.number * CHUNK >= runs:
            continue
        if retries:
            drawn = sellers.release(
                _rng(condition, batch, ratio), people, ratio, times=times, raw=True
            )
        yield (
            Cell(condition=raw_condition, rps=batch.rps, ratio=ratio),
            replace(drawn, shifts=None),
        )


def _rng(condition: str, batch: Batch, ratio: float = 0.0) -> np.random.Generator:
    name = f"{condition} {batch.rps} {ratio:g}"
    return np.random.default_rng([SEED, zlib.crc32(name.encode()), batch.number])
