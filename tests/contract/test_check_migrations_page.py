"""docs/check-migrations.md names every rule, and what comes of it, as the code has it."""

from __future__ import annotations

from slipway.migrations import linting
from tests.contract.markdown import ROOT, tables

PAGE = ROOT / "docs/check-migrations.md"


def test_the_page_has_every_rule_with_what_comes_of_it() -> None:
    rows = tables(PAGE)["What fails", ""]
    kinds = (linting.BREAKS, linting.OURS, linting.FAILS, linting.WARNS)

    assert rows == [
        [
            f"`{rule}`",
            "Slipway" if rule in linting.OWN else "squawk",
            linting.level(rule).value,
            meaning,
        ]
        for kind in kinds
        for rule, meaning in kind.items()
    ]


def test_what_squawk_is_told_to_look_for_is_on_the_page_and_what_it_is_not_is_not() -> None:
    named = {row[0].strip("`") for row in tables(PAGE)["What fails", ""]}

    assert set(linting.OPT_IN) <= named
    assert not set(linting.SILENT) & named
