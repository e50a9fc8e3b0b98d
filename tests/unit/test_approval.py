"""Who may press Promote Previous Build."""

from __future__ import annotations

import pytest

from slipway.background import Start, Task, at_once
from slipway.errors import Refused, Unauthorized, Unreachable
from slipway.release.approval import require


def never() -> str:
    raise AssertionError("nobody is to be asked")


def test_where_no_names_are_set_nobody_is_asked() -> None:
    assert require((), never, at_once) == ""


@pytest.mark.parametrize("name", ["ana", "Ana", "ANA"])
def test_who_is_on_the_list_may(name: str) -> None:
    assert require(("bo", "ana"), lambda: name, at_once) == ""


@pytest.mark.parametrize("name", ["eve", "ana2", "", "an"])
def test_who_is_not_is_refused_with_the_names(name: str) -> None:
    with pytest.raises(Refused, match="nothing was touched") as refused:
        require(("bo", "ana"), lambda: name, at_once)
    assert "bo, ana" in refused.value.remedy


@pytest.mark.parametrize("error", [Unreachable, Unauthorized])
def test_an_outage_keeps_nobody_on_a_bad_build_and_is_said(error: type[Unreachable]) -> None:
    def ask() -> str:
        raise error("GitHub: no", remedy="`actions: read`")

    doubt = require(("ana",), ask, at_once)
    assert "could not be checked" in doubt
    assert "`actions: read`" in doubt


def test_github_that_hangs_is_not_waited_for_for_long() -> None:
    waited: list[float] = []

    class Hangs:
        def done(self) -> bool:
            return False

        def wait(self, seconds: float) -> None:
            waited.append(seconds)

    def hanging(_: object) -> Task:
        return Hangs()

    start: Start = hanging
    assert "no answer within 10 s" in require(("ana",), never, start)
    assert waited == [10.0]
