"""What a judge says: a decision, and the sentence that explains it with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from slipway.ports import Counts


class Decision(StrEnum):
    """What a look at the counts says."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    """It cannot be said: something is missing, or it is nobody's fault."""
    PROMOTE = "promote"
    """Nothing speaks against the candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision and why."""

    decision: Decision
    sentence: str
    metric: str = ""
    """The metric that decided, where one did."""


def rate(counts: Counts) -> str:
    """Say counts for a person: "3 of 1,200 (0.25 %)"."""
    if counts.total == 0:
        return "none"
    return f"{counts.bad:,} of {counts.total:,} ({percent(counts.bad / counts.total)})"


_SMALLEST = 0.000001


def percent(share: float) -> str:
    """Say a share (0 to 1) in percent, with two digits that count."""
    if 0 < share < _SMALLEST:
        return f"under {100 * _SMALLEST:g} %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
