"""The end of an account: it must be one that its looks can come to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.__main__ import main
from tests.unit.accounts import Written, canaried


@pytest.fixture(scope="module")
def bad() -> Written:
    return canaried(error_rate=0.008)


def run(command: str, text: str, place: Path) -> tuple[int, str]:
    file = place / "account.jsonl"
    file.write_text(text, encoding="utf-8")
    said = io.StringIO()
    return main((command, str(file)), {}, said), said.getvalue()


def ends(result: str, **others: object) -> Callable[[dict[str, Any]], object]:
    return lambda line: line.update(result=result, reason="nothing spoke against it", **others)


def test_a_promotion_that_the_looks_speak_against_is_a_difference(
    bad: Written, tmp_path: Path
) -> None:
    assert json.loads(bad.lines[-1])["result"] == "rolled-back"
    last = len(bad.lines)
    text = bad.changed(last, ends("promoted"))
    code, said = run("explain", text, tmp_path)
    assert code == 1
    assert f"line {last} differs: result is written as 'promoted'" in said
    assert f"come to a rollback in line {last - 1}" in said
    code, said = run("report", text, tmp_path)
    assert code == 1
    assert f"line {last} differs" in said


@pytest.mark.parametrize("result", ["rolled-back", "aborted", "held"])
def test_other_ends_may_have_had_reasons_beside_the_judge(result: str, tmp_path: Path) -> None:
    good = canaried()
    text = good.changed(len(good.lines), ends(result))
    assert run("explain", text, tmp_path)[0] == 0


def test_what_was_only_observed_must_say_when_it_would_have_gone_back(tmp_path: Path) -> None:
    observed = canaried(observe=True, error_rate=0.008)
    assert run("explain", observed.text, tmp_path)[0] == 0
    text = observed.changed(len(observed.lines), ends("promoted", would_have=[]))
    code, said = run("explain", text, tmp_path)
    assert code == 1
    assert "would_have is written as nothing" in said


def test_an_account_that_differs_is_not_said_to_have_no_end(bad: Written, tmp_path: Path) -> None:
    look = bad.first_look()
    text = bad.changed(look, lambda line: line.update(sentence="all is well"))
    code, said = run("explain", text, tmp_path)
    assert code == 1
    assert "it is not in the file" not in said
    assert f"**The end.** not looked at: line {look} differs" in said
