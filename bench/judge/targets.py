"""What the judge is held to, and where another rule does better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from bench.judge.draws import OUTAGE
from bench.judge.rows import OURS, Row

IDENTICAL: Final = (
    "identical",
    "sellers",
    "retries",
    "shared-incident",
    "shared-incident-late",
)
"""Conditions that the product meets as it runs by default, and the code may be identical in."""
FOUND: Final = ("immediate", "late", "sellers", "retries")
"""Conditions in which the candidate may be bad."""
FALSE, FALSE_UPPER = 0.01, 0.02
"""Share of good releases taken back at most, and its upper limit."""
ACCEPTABLE: Final = 0.05
"""A rule that takes back more good releases than that is not compared."""


def missed(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each target that the product's judge misses."""
    return [
        f"{row.condition}, {row.rps} req/s, {row.ratio:g}x: {why}"
        for row in rows
        if row.rule == OURS
        for why in _misses(row)
    ]


def _misses(row: Row) -> Iterator[str]:
    if row.condition in IDENTICAL and row.ratio == 1:
        if row.fired > FALSE:
            yield f"{row.fired:.2%} of good releases are taken back, not {FALSE:.0%}"
        if row.upper > FALSE_UPPER:
            yield f"up to {row.upper:.2%} of good releases are taken back, not {FALSE_UPPER:.0%}"
    if row.condition not in FOUND:
        return
    median = math.inf if row.median_s is None else row.median_s
    if row.bound_s is not None and row.fired >= 0.5 and median > 2 * row.bound_s + 20:
        yield f"{median:g} s, not twice the bound and two ticks, {2 * row.bound_s + 20:.0f} s"
    if row.ratio == 20 and row.rps >= 100 and row.condition == "immediate" and median > 20:
        yield f"{median:g} s, not 20 s"
    if row.ratio == OUTAGE and median > 10 and row.condition in ("immediate", "late"):
        yield f"{median:g} s, not one tick, 10 s"


def acceptable(rows: Sequence[Row], rule: str, rps: int) -> bool:
    """Whether a rule takes back few good releases of so much traffic, in every condition."""
    return all(
        row.fired < ACCEPTABLE
        for row in rows
        if (row.rule, row.rps, row.ratio) == (rule, rps, 1) and row.condition in IDENTICAL
    )


def better(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return where an acceptable rule finds more bad releases than ours, or sooner: its row, ours.

    Any difference counts, chance or not.
    """
    ours = {(row.condition, row.rps, row.ratio): row for row in rows if row.rule == OURS}
    pairs = [
        (row, mine)
        for row in rows
        if row.rule != OURS and row.condition in FOUND and row.bound_s is not None
        for mine in (ours[row.condition, row.rps, row.ratio],)
        if (row.fired > mine.fired or _sooner(row, mine)) and acceptable(rows, row.rule, row.rps)
    ]
    return sorted(
        pairs, key=lambda pair: (FOUND.index(pair[0].condition), pair[0].ratio, pair[0].rps)
    )


def _sooner(row: Row, other: Row) -> bool:
    if row.median_s is None:
        return False
    return other.median_s is None or row.median_s < other.median_s
