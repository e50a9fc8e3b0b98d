"""Two small charts for people: the share of users over time, and the errors on both builds.

GitHub draws ``mermaid`` blocks. `xychart-beta` is mermaid's oldest name for this chart (10.5, 2023)
and is still read by the newest. It has no legend, so a line above says which colour is which.
Nothing but numbers and our own words goes into a block.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from slipway.ports import Counts, Phase
from slipway.release.journal import Entry, Kind

POINTS = 60
"""Enough for a step of the share to look like one."""
FEWEST = 2
"""One point is no line."""
_MINUTE = 60
_LEAST = 1
"""An axis has a length, also where everything happened in one moment."""
_LONG = 300
"""Seconds from which on the axis is in minutes."""
_STABLE, _CANARY = "#1f6feb", "#d1242f"
"""As 🟦 and 🟥 are shown, readable on GitHub's light and dark page."""


def charts(entries: Sequence[Entry]) -> str:
    """Return the charts of the judge's looks, empty where there are fewer than two."""
    ticks = [e for e in entries if e.kind is Kind.TICK and e.share is not None]
    if len(ticks) < FEWEST:
        return ""
    steps = [e for e in entries if e.share is not None]
    looks = [e for e in ticks if e.stable and e.canary]
    began = steps[0].at
    stable, canary = ([_percent(c) for c in counts] for counts in _counts(looks))
    users = [_users(step) for step in steps]
    parts = [
        "**Users on the new build**, in percent",
        _chart(began, steps, 100, [users], [_STABLE]),
    ]
    if len(looks) >= FEWEST:
        parts += [
            "**Answers that were errors**, in percent since the share last changed: "
            "🟥 new build, 🟦 build before",
            _chart(
                began, looks, _ceiling(max(*stable, *canary)), [stable, canary], [_STABLE, _CANARY]
            ),
        ]
    return "\n\n".join(parts)


def _users(entry: Entry) -> float:
    """Return the percent of users on the candidate: all, when it has become the stable build."""
    return 100.0 if entry.phase is Phase.STABLE else entry.share or 0.0


def _chart(
    began: datetime,
    entries: Sequence[Entry],
    top: float,
    series: Sequence[Sequence[float]],
    colours: Sequence[str],
) -> str:
    """Return a chart of what was so at each of evenly spread moments, from first to last entry."""
    passed = [(entry.at - began).total_seconds() for entry in entries]
    start, end = passed[0], max(passed[-1], passed[0] + _LEAST)
    moments = (start + (end - start) * n / POINTS for n in range(POINTS))
    latest = [bisect_right(passed, moment) - 1 for moment in moments] + [len(entries) - 1]
    unit, scale = ("minutes", _MINUTE) if end >= _LONG else ("seconds", 1)
    options = (
        '%%{init: {"xyChart": {"width": 720, "height": 220}, "themeVariables": {"xyChart": '
        f'{{"plotColorPalette": "{", ".join(colours)}"}}}}}}}}%%'
    )
    return "\n".join(
        [
            "```mermaid",
            options,
            "xychart-beta",
            f'    x-axis "{unit}" {start / scale:.2f} --> {end / scale:.2f}',
            f'    y-axis "%" 0 --> {top:g}',
            *(f"    line [{', '.join(f'{line[i]:.4g}' for i in latest)}]" for line in series),
            "```",
        ]
    )


def _counts(looks: Sequence[Entry]) -> tuple[list[Counts], list[Counts]]:
    pairs = [(e.stable, e.canary) for e in looks if e.stable and e.canary]
    return [stable for stable, _ in pairs], [canary for _, canary in pairs]


def _percent(counts: Counts) -> float:
    return 100 * counts.bad / counts.total if counts.total else 0.0


def _ceiling(highest: float) -> float:
    """Return a round number the highest value fits under, so that small errors stay small."""
    return next((top for top in (1, 2, 5, 10, 20, 50) if highest <= top), 100)
