"""The report's charts as numbers: what a template needs to draw them as SVG. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.observation import MAIN_LOAD, Counter, Sample, increase

WIDTH = 960.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 10.0, 20.0
MOST_BARS = 120
_HEADROOM = 1.15
"""Room above the highest bar, for the numbers of the releases."""
_SHARES = (10, 50, 100)
"""Percent: where the axis of a share may end."""
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Maps values from ``low`` to ``high`` onto pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``."""
        part = (value - self.low) / ((self.high - self.low) or 1)
        return round(self.start + part * (self.end - self.start), 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One rectangle; ``series`` says whose."""

    x: float
    y: float
    width: float
    height: float
    series: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart, ready to draw."""

    height: float
    x: Axis
    y: Axis
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    """Where nothing was seen: x and width."""


def share_chart(samples: Sequence[Sample], start: float, end: float, *, height: float) -> Chart:
    """Return the share at the edge, percent, as steps; it breaks off where it was not seen."""
    peak = max((s.share for s in samples if s.share is not None), default=0.0)
    x, y = _axes(start, end, next(h for h in _SHARES if h >= min(peak, 100)), height)
    lines, areas, gaps = [], [], []
    for first, run in _runs(samples):
        until = run[-1].at if first + len(run) == len(samples) else samples[first + len(run)].at
        known = [(s.at, s.share) for s in run if s.share is not None]
        if not known:
            gaps.append((x(run[0].at), round(x(until) - x(run[0].at), 2)))
            continue
        path = f"M{x(known[0][0])} {y(known[0][1])}"
        path += "".join(f"H{x(at)}V{y(share)}" for at, share in known[1:]) + f"H{x(until)}"
        lines.append(path)
        areas.append(f"{path}V{y(0)}H{x(known[0][0])}Z")
    return Chart(
        height=height,
        x=x,
        y=y,
        x_ticks=_time_ticks(x, start, end),
        y_ticks=tuple((y(v), f"{v:g} %") for v in (0, y.high / 2, y.high)),
        lines=tuple(lines),
        areas=tuple(areas),
        gaps=tuple(gaps),
    )


def served_chart(
    samples: Sequence[Sample],
    start: float,
    end: float,
    *,
    height: float,
    labels: Mapping[str, str],
    load: str = MAIN_LOAD,
) -> Chart:
    """Return answers per second by build, stacked in the order of ``labels`` (build to label)."""
    return _stacked(
        start,
        end,
        height=height,
        series={
            build: (label, [_answers(sample, load, build) for sample in samples])
            for build, label in labels.items()
        },
    )


def failure_chart(samples: Sequence[Sample], start: float, end: float, *, height: float) -> Chart:
    """Return errors per second by track, as the edge counted them."""
    return _stacked(
        start,
        end,
        height=height,
        series={
            "stable": ("errors on stable", [_errors(s.at, s.stable) for s in samples]),
            "canary": ("errors on canary", [_errors(s.at, s.canary) for s in samples]),
        },
    )


Readings = list[tuple[float, str, int] | None]
"""When it was read, the counter's epoch, its value."""


def _stacked(
    start: float, end: float, *, height: float, series: Mapping[str, tuple[str, Readings]]
) -> Chart:
    width = max(1.0, math.ceil((end - start) / MOST_BARS))
    count = max(1, math.ceil((end - start) / width))
    seconds = [min(width, end - start - i * width) for i in range(count)]
    grown = {
        name: _per_slot(readings, start, width, count) for name, (_, readings) in series.items()
    }
    highest = max((sum(g[i] for g in grown.values()) / seconds[i] for i in range(count)), default=0)
    x, y = _axes(start, end, _round_up(highest * _HEADROOM), height)
    bars = []
    for i in range(count):
        base = 0.0
        left, right = x(start + i * width), x(min(end, start + (i + 1) * width))
        for name, (label, _) in series.items():
            rate = grown[name][i] / seconds[i]
            if not rate:
                continue
            title = f"{label}: {rate:.1f}/s, {i * width:.0f} s after the start"
            top = y(base + rate)
            bars.append(
                Bar(
                    x=left,
                    y=top,
                    width=max(0.5, round(right - left - 1, 2)),
                    height=round(y(base) - top, 2),
                    series=name,
                    title=title,
                )
            )
            base += rate
    return Chart(
        height=height,
        x=x,
        y=y,
        x_ticks=_time_ticks(x, start, end),
        y_ticks=tuple((y(v), f"{v:g}/s") for v in (0, y.high / 2, y.high)),
        bars=tuple(bars),
    )


def _per_slot(readings: Readings, start: float, width: float, count: int) -> list[float]:
    """Return how much a counter grew in each slot of time.

    What it grew between two readings is spread evenly over the time between them.
    """
    grown = [0.0] * count
    last: tuple[float, str, int] | None = None
    for reading in readings:
        if reading is None or (last is not None and reading[0] <= last[0]):
            continue
        if last is not None:
            total = increase((last[1:], reading[1:])) or 0
            first, until = (last[0] - start) / width, (reading[0] - start) / width
            for slot in range(max(0, int(first)), min(count, math.ceil(until))):
                inside = min(until, slot + 1) - max(first, slot)
                grown[slot] += total * inside / (until - first)
        last = reading
    return grown


def _answers(sample: Sample, load: str, build: str) -> tuple[float, str, int] | None:
    snapshot = sample.loads.get(load)
    if snapshot is None:
        return None
    count = int(snapshot["by_build"].get(build, {}).get("requests", 0))
    return float(snapshot.get("at", sample.at)), "", count


def _errors(at: float, counter: Counter | None) -> tuple[float, str, int] | None:
    return None if counter is None else (at, counter.epoch, counter.errors)


def _runs(samples: Sequence[Sample]) -> list[tuple[int, list[Sample]]]:
    """Split into stretches where the share was seen throughout, or not at all."""
    runs: list[tuple[int, list[Sample]]] = []
    for index, sample in enumerate(samples):
        if runs and (runs[-1][1][-1].share is None) == (sample.share is None):
            runs[-1][1].append(sample)
        else:
            runs.append((index, [sample]))
    return runs


def _axes(start: float, end: float, highest: float, height: float) -> tuple[Axis, Axis]:
    x = Axis(low=start, high=end, start=LEFT, end=WIDTH - RIGHT)
    return x, Axis(low=0, high=highest, start=height - BOTTOM, end=TOP)


def _time_ticks(x: Axis, start: float, end: float) -> tuple[tuple[float, str], ...]:
    step = next((t for t in _TICKS if (end - start) / t <= 12), _TICKS[-1])
    times = range(0, int(end - start) + 1, step)
    return tuple((x(start + t), f"{t} s" if step < 60 else f"{t / 60:g} min") for t in times)


def _round_up(value: float) -> float:
    if value <= 0:
        return 1
    unit = 10 ** math.floor(math.log10(value))
    return float(next(m * unit for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * unit >= value))
