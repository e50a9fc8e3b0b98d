"""The figures: a row per rule and cell, simulated on two processors."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from bench.judge.bound import wald
from bench.judge.cells import Batch, Cell, batches, draw
from bench.judge.draws import Draws, Floats
from bench.judge.ours import evidence
from bench.judge.peers import PEERS
from slipway.judge.binomial import upper_bound

OURS: Final = "evidence"
RULES: Final[Mapping[str, Callable[[Draws], Floats]]] = {OURS: evidence, **PEERS}
LEVEL: Final = 0.05
"""Chance that a share is above its upper limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a rule did in a cell."""

    rule: str
    condition: str
    rps: int
    """Requests per second of candidate and control together."""
    ratio: float
    """Of the error rates; 1: identical code, 500: every request of the candidate fails."""
    fired: float
    """Share of the releases taken back, 0 to 1. What is taken back before a late onset is not in
    it: that was no reason."""
    upper: float
    """Its upper 95 % limit (Clopper and Pearson)."""
    median_s: float | None
    """Seconds from the onset, over all releases; ``None``: fewer than half were taken back."""
    bound_s: float | None
    """Wald's bound; ``None`` within what is tolerated."""


def simulate(runs: int, null_runs: int, *, processes: int = 2) -> list[Row]:
    """Judge ``runs`` releases per cell by every rule, ``null_runs`` where the code is identical."""
    found: dict[tuple[Cell, str], list[Floats]] = defaultdict(list)
    bounds: dict[Cell, list[Floats]] = defaultdict(list)
    work = [(batch, runs) for batch in batches(runs, null_runs)]
    with multiprocessing.Pool(processes) as pool:
        # In the order in which they were given out: the same seeds make the same file.
        for judged in pool.imap(_judge, work):
            for cell, rule, when, own in judged:
                found[cell, rule].append(when)
                if own is not None and rule == OURS:
                    bounds[cell].append(own)
    return [
        row(cell, rule, np.concatenate(whens), bounds.get(cell, ()))
        for (cell, rule), whens in found.items()
    ]


def row(cell: Cell, rule: str, when: Floats, own: Sequence[Floats] = ()) -> Row:
    """Sum up when a rule took releases back: seconds since the step began, ``inf`` for never.

    ``own``: Wald's bound by release, where their sellers differ; its median stands in the row.
    """
    delay = np.where(when > cell.onset, when - cell.onset, math.inf)
    fired = int(np.isfinite(delay).sum())
    median = float(np.sort(delay)[(len(delay) - 1) // 2])
    bound = float(np.median(np.concatenate(own))) if own else wald(cell.rps, cell.ratio)
    return Row(
        rule=rule,
        condition=cell.condition,
        rps=cell.rps,
        ratio=cell.ratio,
        fired=round(fired / len(delay), 5),
        upper=round(upper_bound(fired, len(delay), LEVEL), 5),
        median_s=median if math.isfinite(median) else None,
        bound_s=None if bound is None or math.isinf(bound) else round(bound, 2),
    )


def as_json(rows: Sequence[Row]) -> str:
    """Return the contents of ``out/bench/judge.json``, a line per row."""
    lines = ",\n".join(json.dumps(asdict(row)) for row in rows)
    return f"[\n{lines}\n]\n"


def from_json(text: str) -> list[Row]:
    """Read them back."""
    said: list[dict[str, Any]] = json.loads(text)
    return [Row(**each) for each in said]


Judged = tuple[Cell, str, Floats, Floats | None]


def _judge(work: tuple[Batch, int]) -> list[Judged]:
    return list(_each(*work))


def _each(batch: Batch, runs: int) -> Iterator[Judged]:
    for cell, drawn in draw(batch, runs):
        for name, rule in RULES.items():
            yield cell, name, rule(drawn), drawn.bounds
