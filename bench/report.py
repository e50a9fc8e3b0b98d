"""The figures as JSON, as a table, and as the page docs/edge-figures.md."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

from bench.figures import Figure
from bench.tracks import HAPROXY, WHAT


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processors and versions, no names."""
    version = subprocess.run([HAPROXY, "-v"], capture_output=True, text=True, check=True)
    return {
        "processors": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "haproxy": version.stdout.split()[2],
        "python": platform.python_version(),
        "linux": platform.release().split("-")[0],
        "upstream": WHAT,
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
    }


def as_json(figures: Sequence[Figure], machine: dict[str, Any]) -> str:
    """Return the contents of ``out/bench/edge.json``."""
    said = {"machine": machine, "figures": [figure.as_json() for figure in figures]}
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def table(figures: Sequence[Figure]) -> str:
    """Return a table for a terminal."""
    rows = [("figure", "value", "spread of rounds", "goal", "")]
    rows += [(f.name, number(f.value, f.unit), spread(f), f.goal_text, verdict(f)) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)
    return "\n".join(lines)


def page(figures: Sequence[Figure], machine: dict[str, Any]) -> str:
    """Return docs/edge-figures.md."""
    lines = [
        "# What the edge costs, and how fast it switches",
        "",
        "Made by `make bench`, not by hand. Measured on "
        f"{machine['date']}, on loopback of a machine of {machine['processors']} processors, shared"
        f" with other work (load {machine['load_before']} at the start), with HAProxy"
        f" {machine['haproxy']}, Python {machine['python']} and Linux {machine['linux']}.",
        f"Upstream: {machine['upstream']}. What is compared ran in turns, A B A B; a value is the"
        " median of the rounds unless its name says otherwise, the spread is from the lowest round"
        " to the highest. Render, TLS and a network are not in these figures. The times of single"
        " rules do not add up to that of all: a rule that is gone also changes what others do"
        " (without bucket or map nobody is on the canary), and the control shows how far to trust"
        " them.",
        "",
        "| figure | value | spread | goal | | how |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {f.name} | {number(f.value, f.unit)} | {spread(f)} | {f.goal_text} | {verdict(f)} "
        f"| {f.note} |"
        for f in figures
    ]
    return "\n".join(lines) + "\n"


def verdict(figure: Figure) -> str:
    """Return ``met``, ``missed``, or nothing without a goal."""
    return {True: "met", False: "missed", None: ""}[figure.holds]


def spread(figure: Figure) -> str:
    """Return the lowest and the highest round; nothing where there was one."""
    if len(figure.samples) < 2:
        return ""
    low, high = (number(each, "") for each in (min(figure.samples), max(figure.samples)))
    return f"{low} … {high}"


def number(value: float, unit: str) -> str:
    """Return a value with three significant digits, or whole from 100 on."""
    text = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}".rstrip()
