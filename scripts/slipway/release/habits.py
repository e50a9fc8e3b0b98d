"""How the sellers of a step fail anyway, as the edge has seen: the judge makes allowance for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.config import Judge
from slipway.errors import OutsideError
from slipway.judge import calibration
from slipway.ports import Edge
from slipway.release.journal import Journal

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """By step: how many times as often its candidate's sellers fail anyway, at most."""

    shifts: tuple[float, ...]
    calibrated: bool
    """Whether any of it is known; else all are 1, and nothing of alpha is spent on it."""


def allowance(
    edge: Edge,
    shares: Sequence[float],
    judge: Judge,
    alpha: float,
    journal: Journal,
    *,
    named: int = 0,
) -> Allowance:
    """Ask the edge for each share (percent), and say what it knows. ``alpha``: of the metric."""
    none = Allowance(shifts=(1.0,) * len(shares), calibrated=False)
    if judge.calibrate == "off":
        return none
    level = calibration.SPENT * alpha / len(shares)
    found: list[float | None] = []
    besides = f", but not for the {named} who are on it by name" if named else ""
    for share in dict.fromkeys(shares):
        try:
            habits = edge.habits(share)
        except OutsideError as error:
            journal.trouble(f"how sellers differ is not known: {error.found}")
            return none
        if habits is None:
            journal.note(
                f"how sellers differ is not known for {share:g} %: an edge counts multiples of 5 %"
            )
            found.append(None)
            continue
        shift = calibration.shift(habits.inside, habits.outside, level, judge.ratio)
        found.append(shift)
        if shift is None:
            bad = habits.inside.bad + habits.outside.bad
            journal.note(
                f"sellers are taken to be alike at {share:g} %: {bad:,} errors in "
                f"{habits.seconds / _DAY:.1f} days say too little about how they differ"
            )
        else:
            journal.note(
                f"the sellers of {share:g} % fail {shift:.2g} times as often as others by "
                f"themselves ({habits.inside.bad:,} of {habits.inside.bad + habits.outside.bad:,} "
                f"errors in {habits.seconds / _DAY:.1f} days): that is taken into account{besides}"
            )
    known = dict(zip(dict.fromkeys(shares), found, strict=True))
    shifts = tuple(1.0 if (s := known[share]) is None else s for share in shares)
    return Allowance(shifts=shifts, calibrated=any(f is not None for f in found))
