"""docs/migrations.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from slipway.clients.migrators.lock import KEY
from slipway.config import Migrations
from slipway.migrations.rules import RULES, UNKNOWN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/migrations.md").read_text(encoding="utf-8")


def test_the_table_of_refusals_is_that_of_the_code() -> None:
    table = PAGE.partition("| code |")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|$", table, re.MULTILINE)

    assert rows == [(rule.code, rule.why, rule.remedy) for rule in (*RULES, UNKNOWN)]


def test_every_key_that_it_names_is_one() -> None:
    named = set(re.findall(r"`migrations\.([a-z_.-]+)`", PAGE))

    assert named
    for name in named:
        model = Migrations.model_fields
        assert name.partition(".")[0].replace("-", "_") in model, name


def test_what_it_says_of_the_lock_is_so() -> None:
    assert f"hashtext('{KEY}')" in PAGE
