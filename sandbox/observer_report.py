"""The demonstration as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox.observation import MAIN_LOAD, Sample, by_build, label
from sandbox.observer_charts import failure_chart, served_chart, share_chart
from sandbox.replaced import sentence

COLOURS = 8
"""Colours for builds in the template; later builds use them again."""
_VERDICTS = {
    "promoted": ("good", "✓"),
    "promoted-previous": ("back", "↺"),
    "rolled-back": ("bad", "↩"),
    "taken-back": ("bad", "↩"),
    "refused": ("warn", "⊘"),
    "frozen": ("bad", "!"),
    "unchanged": ("none", "="),
}
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(report: Mapping[str, Any], samples: Sequence[Sample]) -> str:
    """Return ``report`` (see ``report.json``) and the time series ``samples`` as HTML."""
    versions = report["builds"]
    seen = _builds(report, samples)
    classes = {build: f"s{index % COLOURS}" for index, build in enumerate(seen)}
    labels = {build: label(build, versions) for build in seen}
    end = max(float(report["seconds"]), samples[-1].at if samples else 1.0)
    main = {build: labels[build] for build in seen if build in by_build(samples)}
    return _ENVIRONMENT.get_template("report.html.j2").render(
        report=report,
        classes=classes,
        labels=labels,
        main=main,
        overview=share_chart(samples, 0, end, height=150),
        served=served_chart(samples, 0, end, height=150, labels=main),
        failures=failure_chart(samples, 0, end, height=110),
        releases=[_card(entry, samples, labels, versions) for entry in report["releases"]],
    )


def _builds(report: Mapping[str, Any], samples: Sequence[Sample]) -> list[str]:
    """Return every build that served or ran, in the order in which they appeared."""
    seen: dict[str, None] = {}
    for entry in report["releases"]:
        if entry["stable_before"] in report["builds"]:
            seen[entry["stable_before"]] = None
        for build in sorted(entry["served_builds"], key=lambda b: b != entry["stable_before"]):
            seen[build] = None
    for build in (*by_build(samples), *report["builds"]):
        seen[build] = None
    return list(seen)


def _card(
    entry: Mapping[str, Any],
    samples: Sequence[Sample],
    labels: Mapping[str, str],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    kind, mark = _VERDICTS.get(entry["result"], ("warn", "•"))
    start, end = entry["from"], max(entry["to"], entry["from"] + 1)
    window = [sample for sample in samples if entry["from"] <= sample.at <= entry["to"]]
    mine = {build: labels[build] for build in labels if build in entry["served_builds"]}
    load = entry.get("load", MAIN_LOAD)
    return {
        "entry": entry,
        "kind": kind,
        "order": sentence(entry.get("replaced", ())),
        "mark": mark,
        "stable_before": _named(entry["stable_before"], versions),
        "stable_after": _named(entry["stable_after"], versions),
        "share": share_chart(window, start, end, height=110) if entry["behind_edge"] else None,
        "served": served_chart(window, start, end, height=110, labels=mine, load=load),
    }


def _named(build: str, versions: Mapping[str, str]) -> str:
    return label(build, versions) if build in versions else build
