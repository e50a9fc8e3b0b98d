"""``python -m bench judge``: simulates, writes the figures and their tables, checks the targets."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from bench import report
from bench.judge import cost, page, rows, targets

ROOT: Final = Path(__file__).parents[2]
JSON: Final = ROOT / "out" / "bench" / "judge.json"
PAGE: Final = ROOT / "docs" / "judge.md"
RUNS: Final = 800
"""Releases of a bad candidate, per cell."""
NULL_RUNS: Final = 4000
"""Releases of identical code, per cell: so many tell 1 % from 2 %."""


def measure() -> int:
    """Simulate everything; return 1 where a target is missed."""
    began = time.monotonic()
    found = rows.simulate(RUNS, NULL_RUNS)
    JSON.parent.mkdir(parents=True, exist_ok=True)
    JSON.write_text(rows.as_json(found), encoding="utf-8")
    PAGE.write_text(page.put_into(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(f"{JSON.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}: {time.monotonic() - began:.0f} s")
    costs = cost.measure()
    print(report.table(costs))
    missed = targets.missed(found)
    missed += [f"{each.name}: {each.value:.3g} {each.unit}" for each in costs if not each.holds]
    for sentence in missed:
        print(f"missed: {sentence}", file=sys.stderr)
    return 1 if missed else 0
