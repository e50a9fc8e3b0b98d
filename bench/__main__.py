"""``python -m bench edge`` measures, ``python -m bench cohort [IDS]`` compares."""

from __future__ import annotations

import argparse
import sys
import time

from bench import cohort
from bench.tracks import FastTrack
from tests.edge.harness import Surroundings, posthog


def main() -> int:
    """Run one of the two; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    commands = parser.add_subparsers(dest="command", required=True)
    each = commands.add_parser("cohort", help="compare edge and SDK, seller by seller")
    each.add_argument("ids", type=int, nargs="?", default=100_000, help="how many sellers")
    arguments = parser.parse_args()
    return compare_cohorts(arguments.ids)


def compare_cohorts(count: int) -> int:
    """Compare in every case; print a table and the sum of mismatches."""
    began = time.monotonic()
    ids = cohort.sellers(max(count, 10))
    mismatches = 0
    print(f"{'flag':18}{'sellers':>9}{'SDK':>9}{'edge':>9}{'mismatches':>12}")
    with posthog() as stub:
        tracks = FastTrack("stable"), FastTrack("canary")
        try:
            for track in tracks:
                track.start()
            with Surroundings(stub, *tracks).world() as world:
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
        finally:
            for track in tracks:
                track.kill()
    print(
        "At 0 % PostHog's SDK lets the named sellers in; the edge lets in nobody, which is what is"
        " compared there."
    )
    print(f"{time.monotonic() - began:.0f} s")
    print(f"mismatches: {mismatches}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
