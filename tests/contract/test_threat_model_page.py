"""docs/threat-model.md claims nothing that no test shows, and leaves out no reason to refuse."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from slipway.gates.codes import Code
from tests.contract.markdown import ROOT, prose, tables

PAGE = ROOT / "docs/threat-model.md"
REFUSED = [
    row for (second, _), rows in tables(PAGE).items() if second == "What is refused" for row in rows
]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", prose(PAGE))))


@cache
def written(path: Path) -> dict[str, str]:
    """Return the tests of a file with what they do."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists_and_is_run(name: str) -> None:
    file, _, test = name.partition("::")
    body = written(ROOT / file).get(test, "")

    assert test.startswith("test_")
    assert body, f"{file} has no {test}"
    assert not re.search(r"\b(skip|skipif|xfail|importorskip)\b", body)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0][:60])
def test_every_attack_names_its_code_if_it_has_one_and_a_test(row: list[str]) -> None:
    attack, codes, tests = row

    assert attack
    assert set(re.findall(r"`([^`]+)`", codes)) <= set(Code)
    assert re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", tests), f"nothing shows {attack!r}"


def test_every_reason_to_refuse_stands_against_some_attack() -> None:
    named = {code for _, codes, _ in REFUSED for code in re.findall(r"`([^`]+)`", codes)}

    assert named == set(Code)


def test_what_no_signature_stops_is_said_with_what_is_in_the_way() -> None:
    rows = tables(PAGE)["What no signature stops", ""]

    assert rows
    assert all(len(row) == 3 and all(row) for row in rows)
