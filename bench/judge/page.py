"""The figures as tables, and their place in docs/judge.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bench.judge.draws import OUTAGE
from bench.judge.rows import OURS, Row
from bench.judge.targets import ACCEPTABLE, FOUND, IDENTICAL, better
from tools.reference.tables import table

BEGIN: Final = "<!-- generated: python -m bench judge -->"
END: Final = "<!-- generated: end -->"

_GOOD: Final[Mapping[str, str]] = {
    "identical": "nothing happens",
    "shared-incident": "both fail 20 times as often for the first 2 minutes",
    "shared-incident-late": "the same, from minute 4 to 6",
    "sellers": "sellers differ (calibrated)",
    "sellers-raw": "sellers differ, not calibrated",
    "retries": "failures are tried three times, root errors are counted",
    "retries-raw": "the same, every attempt is counted",
}
_BAD: Final[Mapping[str, str]] = {
    "immediate": "Bad from the beginning",
    "late": "Bad from minute 5 on",
    "sellers": "Bad from the beginning, and sellers differ",
    "retries": "Bad from the beginning, and failures are tried three times",
}
RULE_NAMES: Final[Mapping[str, str]] = {
    OURS: "**evidence**",
    "literal": "literal",
    "z-test": "z test each minute",
    "m-of-n": "3 of 5 minutes above 1 %",
    "kayenta": "Kayenta each minute",
    "kayenta-end": "Kayenta at the end",
}
_VARIANTS: Final[Mapping[str, tuple[str, str]]] = {
    "sellers": ("sellers-raw", "evidence, not calibrated"),
}
Key = tuple[str, float, str, int]


def put_into(page: str, rows: Sequence[Row]) -> str:
    """Return the page with new tables between its two marks. Raises ``ValueError`` without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} to write between")
    return f"{before}{BEGIN}\n{tables(rows)}\n{END}{after}"


def tables(rows: Sequence[Row]) -> str:
    """Return all tables, and the list of where another rule is better."""
    by_key = {(row.condition, row.ratio, row.rule, row.rps): row for row in rows}
    traffic = sorted({row.rps for row in rows})
    parts = [
        _summary(rows),
        "### Identical code, taken back all the same",
        "Of the releases, for the product's own rule with the upper 95 % limit in brackets.",
        table(
            ["meanwhile", "rule", *(f"{rps} req/s" for rps in traffic)],
            list(_good(by_key, traffic)),
        ),
    ]
    for condition in FOUND:
        parts += [
            f"### {_BAD[condition]}",
            table(
                ["errors", "rule", *(f"{rps} req/s" for rps in traffic)],
                list(_bad(by_key, traffic, condition)),
            ),
        ]
    parts += ["### Where another rule is better", *_better(rows)]
    return "\n\n".join(parts)


def _summary(rows: Sequence[Row]) -> str:
    """Say the two figures that most people come for."""
    ours = [r for r in rows if r.rule == OURS and r.condition in IDENTICAL and r.ratio == 1]
    literal = [r.fired for r in rows if r.rule == "literal" and r.condition == "identical"]
    return (
        f"Of releases of identical code, `rule: literal` takes back {percent(min(literal))} to "
        f"{percent(max(literal))}, by how much traffic there is. `rule: evidence` takes back "
        f"{percent(max(r.fired for r in ours))} at most, and {percent(max(r.upper for r in ours))} "
        "with the uncertainty of the simulation."
    )


def _good(rows: Mapping[Key, Row], traffic: Sequence[int]) -> Iterator[list[str]]:
    for condition, words in _GOOD.items():
        for rule, name in RULE_NAMES.items():
            if condition == "sellers-raw" and rule != OURS:
                continue  # Nobody else calibrates: the same figures again.
            cells = [rows.get((condition, 1, rule, rps)) for rps in traffic]
            if any(cells):
                yield [
                    words if rule == OURS else "",
                    name,
                    *("" if row is None else _false(row) for row in cells),
                ]


def _false(row: Row) -> str:
    limit = f" ({percent(row.upper)})" if row.rule == OURS else ""
    return f"{percent(row.fired)}{limit}"


def _bad(rows: Mapping[Key, Row], traffic: Sequence[int], condition: str) -> Iterator[list[str]]:
    for ratio in sorted({key[1] for key in rows if key[0] == condition and key[1] > 1}):
        lines = [["*Wald's bound*", *_bounds(rows, traffic, condition, ratio)]]
        for rule, name in RULE_NAMES.items():
            lines.append([name, *_found(rows, traffic, condition, ratio, rule)])
            if rule == OURS and condition in _VARIANTS:
                variant, words = _VARIANTS[condition]
                lines.append([words, *_found(rows, traffic, variant, ratio, rule)])
        said = [line for line in lines if any(line[1:])]
        yield from ([times(ratio) if line is said[0] else "", *line] for line in said)


def _bounds(
    rows: Mapping[Key, Row], traffic: Sequence[int], condition: str, ratio: float
) -> Iterator[str]:
    for rps in traffic:
        row = rows.get((condition, ratio, OURS, rps))
        yield "" if row is None or row.bound_s is None else f"*{_seconds(row.bound_s)} s*"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2g}"


def _found(
    rows: Mapping[Key, Row], traffic: Sequence[int], condition: str, ratio: float, rule: str
) -> list[str]:
    cells = (rows.get((condition, ratio, rule, rps)) for rps in traffic)
    return ["" if row is None else found(row) for row in cells]


def _better(rows: Sequence[Row]) -> list[str]:
    pairs = better(rows)
    if not pairs:
        return [
            f"Nowhere, of the rules that take back fewer than {ACCEPTABLE:.0%} of good releases of "
            "that traffic in each of the first table's conditions."
        ]
    head = (
        "Rules that take back fewer than 5 % of good releases of that traffic, in each condition "
        "of the first table that the product meets as it runs by default, and that find more bad "
        "ones than `evidence` does, or sooner. Every difference is listed, also those within "
        "chance."
    )
    cells = [
        [
            row.condition,
            times(row.ratio),
            f"{row.rps} req/s",
            RULE_NAMES[row.rule],
            found(row),
            found(mine),
        ]
        for row, mine in pairs
    ]
    return [head, table(["condition", "errors", "traffic", "rule", "it", "evidence"], cells)]


def found(row: Row) -> str:
    """Say how many were taken back, and how soon the half of all was."""
    median = "" if row.median_s is None else f", {row.median_s:.0f} s"
    return f"{percent(row.fired)}{median}"


def times(ratio: float) -> str:
    """Name a ratio of error rates."""
    return "all requests fail" if ratio == OUTAGE else f"{ratio:g}x"


def percent(share: float) -> str:
    """Say a share (0 to 1) in percent; 0 and 100 only where it is none and all."""
    hundredth = 100 * share
    if share in (0, 1):
        return f"{hundredth:.0f} %"
    if hundredth < 10:
        return f"{max(hundredth, 0.01):.2g} %"
    return f"{min(hundredth, 99):.0f} %"
