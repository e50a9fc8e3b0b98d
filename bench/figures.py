"""What was measured, and the arithmetic of it. No I/O."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value beside what it should be. ``samples`` are in ``unit``, one a round."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"
    samples: Sequence[float] = field(default_factory=tuple)
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the goal is met; ``None`` without a goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal

    @property
    def goal_text(self) -> str:
        """The goal as it is read, ``≤ 0.15``; empty without one."""
        if self.goal is None:
            return ""
        return f"{'≤' if self.better == 'lower' else '≥'} {self.goal:g}"

    def as_json(self) -> dict[str, Any]:
        """Return what ``out/bench/edge.json`` says about it."""
        content = {key: value for key, value in asdict(self).items() if key != "better"}
        return {**content, "goal": self.goal_text or None, "holds": self.holds}


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of all values do not exceed (nearest rank).

    Raises ``ValueError`` without values.
    """
    if not values:
        raise ValueError("no values to take a percentile of")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return ``above[i] / below[i]``: each pair was measured in one round, one after the other.

    The median of these is what counts: what slows the machine in one round slows both.
    Raises ``ValueError`` where the rounds do not pair up or a divisor is not positive.
    """
    if len(above) != len(below) or not above:
        raise ValueError(f"{len(above)} measurements against {len(below)}: not pairs")
    if min(below) <= 0:
        raise ValueError("nothing was measured in one of the rounds: a ratio to 0")
    return [a / b for a, b in zip(above, below, strict=True)]


def differences(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return ``above[i] - below[i]`` of paired rounds. Raises ``ValueError`` without pairs."""
    if len(above) != len(below) or not above:
        raise ValueError(f"{len(above)} measurements against {len(below)}: not pairs")
    return [a - b for a, b in zip(above, below, strict=True)]


def median(
    name: str,
    unit: str,
    samples: Sequence[float],
    *,
    goal: float | None = None,
    better: Literal["lower", "higher"] = "lower",
    note: str = "",
) -> Figure:
    """Return the figure whose value is the median of the rounds."""
    value = statistics.median(samples)
    return Figure(
        name=name, value=value, unit=unit, goal=goal, better=better, samples=samples, note=note
    )
