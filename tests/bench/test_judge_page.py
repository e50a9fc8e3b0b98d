"""The bench's figures: summed up, held against the targets, and put into docs/judge.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.judge import command, page, targets
from bench.judge.bound import wald
from bench.judge.cells import RATIOS, RPS, Cell
from bench.judge.draws import OUTAGE
from bench.judge.rows import OURS, RULES, Row, as_json, from_json, row
from tools.reference.tables import rows_of

SAMPLE = Path(__file__).with_name("judge_sample.json")
TABLES = Path(__file__).with_name("judge_sample.md")


def a_row(**changes: object) -> Row:
    base = Row(
        rule=OURS,
        condition="immediate",
        rps=100,
        ratio=20,
        fired=1.0,
        upper=1.0,
        median_s=20.0,
        bound_s=9.55,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def good(rule: str = OURS, fired: float = 0.0, **changes: object) -> Row:
    return a_row(
        **{
            "rule": rule,
            "condition": "identical",
            "ratio": 1,
            "fired": fired,
            "upper": fired,
            "median_s": None,
            "bound_s": None,
            **changes,
        }
    )


def test_the_stored_figures_make_the_stored_tables() -> None:
    rows = from_json(SAMPLE.read_text(encoding="utf-8"))
    assert page.tables(rows) + "\n" == TABLES.read_text(encoding="utf-8")


def test_figures_are_read_back_as_they_were_written() -> None:
    rows = [a_row(), good()]
    assert from_json(as_json(rows)) == rows


def test_tables_are_put_between_their_marks_and_nowhere_else() -> None:
    rows = [a_row(), good(), good("literal", 0.4)]
    text = f"# Title\n\n{page.BEGIN}\nold\n{page.END}\n\nafter\n"
    new = page.put_into(text, rows)
    assert new == f"# Title\n\n{page.BEGIN}\n{page.tables(rows)}\n{page.END}\n\nafter\n"
    assert page.put_into(new, rows) == new
    with pytest.raises(ValueError, match="to write between"):
        page.put_into("# Title\n", rows)


def all_cells() -> Iterator[Row]:
    for condition, ratios in RATIOS.items():
        for ratio in ratios:
            for rps in RPS:
                for rule in RULES:
                    bound = wald(rps, ratio)
                    yield a_row(rule=rule, condition=condition, rps=rps, ratio=ratio, bound_s=bound)


def test_the_page_has_the_tables_of_all_that_is_simulated() -> None:
    """Its figures are those of the last ``make bench``; what they are of must be the same."""
    text = command.PAGE.read_text(encoding="utf-8")
    generated = text.partition(page.BEGIN)[2].partition(page.END)[0]

    def labels(markdown: str) -> list[list[str]]:
        known = markdown.partition("### Where another rule is better")[0]
        return [cells[:2] for cells in rows_of(known.splitlines())]

    assert labels(generated) == labels(page.tables(list(all_cells())))


def test_the_page_names_every_rule() -> None:
    by_hand = command.PAGE.read_text(encoding="utf-8").partition(page.BEGIN)[0]
    named = {cells[0] for cells in rows_of(by_hand.splitlines())}
    assert set(page.RULE_NAMES.values()) <= named


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1, "100 %"), (0.0001, "0.01 %"), (0.054, "5.4 %"), (0.996, "99 %")],
)
def test_none_and_all_are_said_of_none_and_all_only(share: float, said: str) -> None:
    assert page.percent(share) == said


def test_a_median_is_of_all_releases_from_the_onset() -> None:
    cell = Cell(condition="late", rps=100, ratio=5)
    when = np.array([60.0, 310.0, 330.0, 400.0, math.inf])  # the first before the onset
    found = row(cell, OURS, when)
    assert (found.fired, found.median_s) == (0.6, 100.0)
    assert row(cell, OURS, np.array([310.0, 320.0, math.inf, math.inf])).median_s == 20.0
    assert row(cell, OURS, np.array([310.0, math.inf, math.inf])).median_s is None


def test_the_limit_of_a_share_is_clopper_and_pearsons() -> None:
    when = np.full(4000, math.inf)
    cell = Cell(condition="identical", rps=100, ratio=1)
    # None of n: 1 - 0.05 ** (1 / n).
    assert row(cell, OURS, when).upper == pytest.approx(1 - 0.05 ** (1 / 4000), abs=1e-5)


def test_walds_bound() -> None:
    # By hand: at 5x an error is the candidate's with 5/24, tolerated 1.15/20.15; there are 0.24
    # errors a second, and each tells 0.1314.
    assert wald(100, 5) == pytest.approx(math.log(20) / (0.24 * 0.1314), rel=1e-3)
    assert wald(100, 1) is wald(100, 1.15) is None


@pytest.mark.parametrize(
    "held",
    [
        good(fired=0.01, upper=0.02),
        good(fired=0.5, condition="sellers-raw"),
        good("z-test", 0.5),
        a_row(median_s=20.0),
        a_row(ratio=5, bound_s=95, median_s=210.0),
        a_row(ratio=2, fired=0.4, median_s=None),
        a_row(condition="sellers", ratio=5, bound_s=170.0, median_s=360.0),
        a_row(ratio=OUTAGE, bound_s=0.2, median_s=10.0),
    ],
)
def test_targets_that_are_met_are_not_listed(held: Row) -> None:
    assert targets.missed([held]) == []


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (good(fired=0.011, upper=0.012), "1.10% of good"),
        (good(fired=0.01, upper=0.021, condition="retries"), "up to 2.10%"),
        (a_row(ratio=5, bound_s=95, median_s=220.0), "220 s, not twice the bound"),
        (a_row(median_s=30.0), "30 s, not 20 s"),
        (a_row(ratio=OUTAGE, bound_s=0.2, median_s=20.0, rps=10), "not one tick"),
        (a_row(ratio=OUTAGE, bound_s=0.2, fired=0.4, median_s=None, rps=10), "not one tick"),
    ],
)
def test_targets_that_are_missed_are_listed(row: Row, why: str) -> None:
    (said,) = targets.missed([row])
    assert why in said
    assert f"{row.condition}, {row.rps} req/s, {row.ratio:g}x" in said


def test_a_rule_that_is_better_is_named_unless_it_hits_good_builds() -> None:
    ours, sooner = a_row(), a_row(rule="z-test", median_s=10.0)
    more = a_row(rule="m-of-n", condition="late", fired=0.8)
    fewer = a_row(condition="late", fired=0.7)
    rows = [ours, sooner, more, fewer]
    assert [pair[0] for pair in targets.better([*rows, good("z-test", 0.01)])] == [sooner, more]
    assert [pair[0] for pair in targets.better([*rows, good("z-test", 0.05)])] == [more]
    # In another condition it hits them, or with other traffic.
    hits = good("z-test", 0.3, condition="shared-incident")
    assert sooner not in [pair[0] for pair in targets.better([*rows, hits])]
    elsewhere = good("z-test", 0.3, rps=10)
    assert sooner in [pair[0] for pair in targets.better([*rows, elsewhere])]
    raw = good("z-test", 0.3, condition="retries-raw")
    assert sooner in [pair[0] for pair in targets.better([*rows, raw])]


def test_where_nobody_is_better_the_page_says_so() -> None:
    rows = [a_row(), a_row(rule="z-test", fired=0.9), good(), good("literal", 0.4)]
    assert "Nowhere, of the rules" in page.tables(rows)
