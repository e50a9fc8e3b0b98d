"""Two small charts for people: the share of users over time, and the errors on both builds.

GitHub draws ``mermaid`` blocks. `xychart-beta` is mermaid's oldest name for this chart (10.5, 2023)
and is still read by the newest. It has no legend, so a line above says which colour is which.
Nothing but numbers and our own words goes into a block.
"""

from __future__ import annotations

from collections.abc import Sequence

from slipway.ports import Counts
from slipway.release.journal import Entry, Kind

POINTS = 24
"""A chart of GitHub's width has room for so many labels."""
FEWEST = 2
"""One point is no line."""
_MINUTE = 60
_LONG = 300
"""Seconds from which on the axis is in minutes."""
_STABLE, _CANARY = "#1f6feb", "#d1242f"
"""As 🟦 and 🟥 are shown, readable on GitHub's light and dark page."""


def charts(entries: Sequence[Entry]) -> str:
    """Return the charts of the judge's looks, empty where there are fewer than two."""
    ticks = [e for e in entries if e.kind is Kind.TICK and e.share is not None]
    if len(ticks) < FEWEST:
        return ""
    ticks = _thinned(ticks)
    began = ticks[0].at
    seconds = [(tick.at - began).total_seconds() for tick in ticks]
    shares = [tick.share or 0.0 for tick in ticks]
    stable = [_percent(tick.stable) for tick in ticks]
    canary = [_percent(tick.canary) for tick in ticks]
    highest = max(*stable, *canary)
    return "\n\n".join(
        [
            "**Users on the new build**, in percent",
            _chart(seconds, 100, [("bar", shares)], _STABLE),
            "**Answers that were errors**, in percent since the share last changed: "
            "🟥 new build, 🟦 build before",
            _chart(
                seconds,
                _ceiling(highest),
                [("line", stable), ("line", canary)],
                f"{_STABLE}, {_CANARY}",
            ),
        ]
    )


def _chart(
    seconds: Sequence[float],
    top: float,
    series: Sequence[tuple[str, Sequence[float]]],
    colours: str,
) -> str:
    long = seconds[-1] >= _LONG
    labels = [f"{value / _MINUTE:.1f}" if long else f"{value:.0f}" for value in seconds]
    options = (
        '%%{init: {"xyChart": {"width": 720, "height": 220}, '
        f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{colours}"}}}}}}}}%%'
    )
    return "\n".join(
        [
            "```mermaid",
            options,
            "xychart-beta",
            f'    x-axis "{"minutes" if long else "seconds"}" [{_quoted(labels)}]',
            f'    y-axis "%" 0 --> {top:g}',
            *(f"    {kind} [{', '.join(f'{v:.2f}' for v in values)}]" for kind, values in series),
            "```",
        ]
    )


def _quoted(labels: Sequence[str]) -> str:
    return ", ".join(f'"{label}"' for label in labels)


def _percent(counts: Counts | None) -> float:
    return 100 * counts.errors / counts.requests if counts and counts.requests else 0.0


def _ceiling(highest: float) -> float:
    """Return a round number the highest value fits under, so that small errors stay small."""
    return next((top for top in (1, 2, 5, 10, 20, 50) if highest <= top), 100)


def _thinned(ticks: Sequence[Entry]) -> list[Entry]:
    """Return at most ``POINTS`` of the looks, evenly spread, the first and the last among them."""
    if len(ticks) <= POINTS:
        return list(ticks)
    last = len(ticks) - 1
    return [ticks[round(i * last / (POINTS - 1))] for i in range(POINTS)]
