"""``python -m bench edge``, ``judge``, ``verify`` measure, ``python -m bench cohort`` compares."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from bench import back, cohort, cost, report, switching, verify
from bench.figures import Figure
from bench.judge import command as judge
from bench.load import NotMeasured
from bench.tracks import FastTrack
from bench.variants import NothingMatches
from slipway_edge.haproxy import HAProxyError
from slipway_edge.settings import DEFAULT_CONFIG
from tests.edge.harness import ROOT, Surroundings, posthog

JSON: Final = ROOT / "out" / "bench" / "edge.json"
PAGE: Final = ROOT / "docs" / "edge-figures.md"
DEADLINE: Final = 240.0
"""Seconds for all measurements."""
UNMEASURED: Final = (
    NotMeasured,
    NothingMatches,
    cohort.Unanswered,
    HAProxyError,
    httpx.HTTPError,
    AssertionError,  # the harness: an edge did not start, or not do as it was told
)


def main() -> int:
    """Run one of the four; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("edge", help="measure the edge")
    commands.add_parser("judge", help="simulate the judge beside other rules")
    commands.add_parser("verify", help="measure what verifying an attestation costs")
    each = commands.add_parser("cohort", help="compare edge and SDK, seller by seller")
    each.add_argument("ids", type=int, nargs="?", default=100_000, help="how many sellers")
    arguments = parser.parse_args()
    if arguments.command == "judge":
        return judge.measure()
    if arguments.command == "verify":
        return verify.measure()
    try:
        if arguments.command == "cohort":
            if arguments.ids < 1:
                parser.error("ids must be 1 or more")
            return compare_cohorts(arguments.ids)
        return measure_edge()
    except UNMEASURED as problem:
        print(f"not measured: {problem}", file=sys.stderr)
        return 1
    except TimeoutError:
        print(f"not measured: not done after {DEADLINE:g} s", file=sys.stderr)
        return 1


def measure_edge() -> int:
    """Measure, print the table, write the JSON and the page. 1 where a request failed."""
    machine = report.machine()
    figures = asyncio.run(_figures())
    _write(JSON, report.as_json(figures, machine))
    _write(PAGE, report.page(figures, machine))
    print(report.table(figures))
    print(f"\n{JSON.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
    return 1 if any(f.unit == "requests" and not f.holds for f in figures) else 0


async def _figures() -> list[Figure]:
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {what}", file=sys.stderr, flush=True)

    with surroundings() as around:
        async with asyncio.timeout(DEADLINE):
            config = DEFAULT_CONFIG.read_text()
            figures = await cost.measure(config, around.stable, around.canary, cost.Rounds(), say)
            figures += await switching.measure(around, switching.Rounds(), say)
            figures += await back.measure(around, say)
    # A world of its own: the deadline is for what is measured at the edge alone.
    figures += await asyncio.to_thread(back.cancelled, say)
    say("done")
    return figures


def compare_cohorts(count: int) -> int:
    """Compare in every case; print a table and the sum of mismatches."""
    began = time.monotonic()
    ids = cohort.sellers(max(count, 10))
    mismatches = 0
    print(f"{'flag':18}{'sellers':>9}{'SDK':>9}{'edge':>9}{'mismatches':>12}")
    with surroundings() as around, around.world() as world:
        world.edge.start()
        for case in cohort.cases(ids):
            done = cohort.compare(world, case, ids)
            wrong = len(done.mismatches)
            mismatches += wrong
            print(
                f"{case.name:18}{done.asked:9}{len(done.sdk):9}{len(done.edge):9}{wrong:12}"
                + ("   the edge lets nobody in" if case.nobody else ""),
                flush=True,
            )
    print(
        "At 0 % PostHog's SDK lets the named sellers in; the edge lets in nobody, which is what is"
        " compared there."
    )
    print(f"{time.monotonic() - began:.0f} s")
    print(f"mismatches: {mismatches}")
    return 1 if mismatches else 0


@contextlib.contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Start a stub of PostHog and two fast tracks."""
    with posthog() as stub:
        tracks = FastTrack("stable"), FastTrack("canary")
        try:
            for track in tracks:
                track.start()
            yield Surroundings(stub, *tracks)
        finally:
            for track in tracks:
                track.kill()


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
