"""Play every case, or one: ``python -m tests.crash [case]``."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor

from tests.crash.cases import Case, every_case
from tests.crash.checks import Failure, play

CHUNK = 200


def _chunk(names: list[str]) -> list[tuple[str, list[Failure], str]]:
    return [(name, *play(Case.read(name))) for name in names]


def _all(names: list[str]) -> list[tuple[str, list[Failure], str]]:
    chunks = [names[at : at + CHUNK] for at in range(0, len(names), CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return [one for chunk in pool.map(_chunk, chunks) for one in chunk]


def _table(names: list[str]) -> None:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        case = Case.read(name)
        counted[case.base]["twice" if case.second else case.follow_up] += 1
    columns = ("nothing", "finalize", "reconcile", "rerun", "push", "rollback", "twice")
    print(f"{'cases of':18}", *(f"{column:>10}" for column in columns))
    for base, row in counted.items():
        print(f"{base:18}", *(f"{row[column]:>10}" for column in columns))


def _explain(failures: list[Failure]) -> None:
    causes: dict[tuple[str, str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        causes[failure.cause].append(failure)
    for (what, follow_up, mode), found in sorted(causes.items(), key=lambda c: -len(c[1])):
        first = min(found, key=lambda f: (len(f.calls), f.case.fault.at))
        at = first.case.fault.at
        call = first.calls[at - 1] if at <= len(first.calls) else "?"
        bases = ", ".join(f"{k} {v}" for k, v in Counter(f.case.base for f in found).items())
        print(f"\n{len(found)} x {what}; after it: {follow_up}; mode: {mode} ({bases})")
        print(f"  {first.case.base}, call {at} ({call}), {mode}, policy {first.case.policy}")
        print(f"  {first.detail}")
        print(f"  calls: {' · '.join(first.calls[-40:])}")
        print(f"  make crash CASE={first.case}")


def main() -> int:
    """Return 1 where something does not hold, 2 where there is no such case."""
    began = time.monotonic()
    known = [str(case) for case in every_case()]
    names = sys.argv[1:] or known
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"there is no case {', '.join(unknown)}; one looks like {known[0]}", file=sys.stderr)
        return 2
    played = _all(names) if len(names) > 1 else _chunk(names)
    failures = [failure for _, found, _ in played for failure in found]
    _table(names)
    results = Counter(result for _, _, result in played)
    print("ended as:", ", ".join(f"{result} {count}" for result, count in results.most_common()))
    failed = len({str(failure.case) for failure in failures})
    print(f"cases: {len(names)}  failures: {failed}  seconds: {time.monotonic() - began:.0f}")
    _explain(failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
