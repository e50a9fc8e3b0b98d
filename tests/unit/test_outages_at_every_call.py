"""Whatever is down, from whichever call of a way back: nobody is left on a bad build unsaid."""

from __future__ import annotations

import pytest

from slipway.release.outcome import Result
from tests.unit.outages import (
    CASES,
    SYSTEMS,
    Outage,
    assert_goes_on,
    assert_says_what_is,
    bad_release,
    way_back_of,
)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("after", [False, True])
def test_one_call_of_a_way_back_that_fails_changes_nothing(case: str, after: bool) -> None:
    for at, call in enumerate(way_back_of(case)):
        outage = Outage(at=at, forever=False, after=after)
        world, outcome = bad_release(case, outage)
        assert outcome.result is Result.ROLLED_BACK, (call, outcome.reason)
        assert_says_what_is(world, outcome, outage)
        assert_goes_on(world)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "down",
    [
        *((system,) for system in SYSTEMS),
        ("edge.", "flags."),
        ("render.", "flags."),
        ("render.", "edge."),
        ("render.", "github."),
        SYSTEMS,
    ],
    ids="+".join,
)
def test_an_outage_from_any_call_on_is_said_and_reconcile_goes_on(
    case: str, down: tuple[str, ...]
) -> None:
    for at, call in enumerate(way_back_of(case)):
        if not call.startswith(down):
            continue
        outage = Outage(at=at, prefixes=down)
        world, outcome = bad_release(case, outage)
        assert_says_what_is(world, outcome, outage)
        assert_goes_on(world)
