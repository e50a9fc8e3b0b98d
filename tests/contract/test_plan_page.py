"""docs/plan.md leaves out no sentence of the plan and claims nothing that no test shows."""

from __future__ import annotations

import ast
import re

from tests.contract.markdown import ROOT, prose, sections, tables

PAGE = ROOT / "docs/plan.md"
TESTS = ROOT / "tests/contract/test_plan.py"
GLUE = re.compile(r"[\s,;:()]|\b(?:and|or)\b")
"""What may be left of the plan between the parts that were taken out of it."""


def plan() -> dict[str, str]:
    return {name: text for name, text in tables(PAGE)["As it was asked for", ""]}  # noqa: C416


def covered() -> list[list[str]]:
    return tables(PAGE)["Covered", ""]


def still_open() -> list[list[str]]:
    return tables(PAGE)["Open", ""]


def test_the_plan_has_its_ten_parts() -> None:
    assert list(plan()) == [f"D{number}" for number in range(1, 11)]


def test_every_word_of_the_plan_is_covered_or_open_and_none_is_both() -> None:
    left = plan()
    for name, words, *_ in (*covered(), *still_open()):
        assert left[name].count(words) == 1, f"{name}: {words!r} is not there, or is there twice"
        left[name] = left[name].replace(words, ";")

    assert {name: rest for name, rest in left.items() if GLUE.sub("", rest)} == {}


def test_every_covered_sentence_names_tests_that_exist_and_each_test_has_its_sentence() -> None:
    tree = ast.parse(TESTS.read_text(encoding="utf-8"))
    written = {
        node.name: ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    named: list[str] = []
    for name, words, cell, _ in covered():
        tests = re.findall(r"`(\w+)`", cell)
        assert tests, f"{name}: {words!r} has no test"
        for test in tests:
            assert test.startswith(f"test_{name.lower()}_"), test
        named += tests

    assert sorted(named) == sorted(written)
    for test, body in written.items():
        assert "assert" in body or "pytest.raises" in body, f"{test} asserts nothing"
        assert not re.search(r"\b(skip|skipif|xfail|importorskip)\b", body), test


def test_every_open_sentence_says_what_is_missing() -> None:
    for name, words, missing, phrases in still_open():
        assert missing.endswith("."), f"{name}: {words!r}"
        assert re.findall(r"`([^`]+)`", phrases), f"{name}: {words!r}"


def test_the_readme_claims_nothing_that_is_open() -> None:
    readme = "\n".join(
        line
        for (heading, _), lines in sections(ROOT / "README.md").items()
        if heading != "What it does not do yet"
        for line in lines
    )
    assert prose(ROOT / "README.md").count("What it does not do yet") == 1
    for name, words, _, phrases in still_open():
        for phrase in re.findall(r"`([^`]+)`", phrases):
            found = re.search(rf"(?i)\b{re.escape(phrase)}", readme)
            assert not found, f"README says {phrase!r}; {name} {words!r} is open"
