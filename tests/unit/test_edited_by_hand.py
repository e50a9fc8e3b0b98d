"""Somebody edits the release flag in PostHog while a canary is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.errors import Refused
from slipway.ports import Flag, Promotion
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY
from tests.unit.test_canary import assert_everybody_is_on, phases, release
from tests.unit.world import World

SHORT: dict[str, Any] = {
    "strategy": {
        "steps": [{"share": 5, "for": "60s"}],
        "bake": {"share": 95, "for": "60s"},
    }
}
Edit = Callable[[Flag], Flag]


def edited(edit: Edit, *, at: str = "edge.counts") -> tuple[World, Outcome]:
    """Release v2 in a world in which somebody edits the flag at 5 %, once."""
    world = World()

    def by_hand(call: str) -> None:
        flag = world.flag
        if call == at and flag and flag.record and flag.record.share == 5:
            world.flag = replace(edit(flag), version=flag.version + 1)
            world.before = lambda call: None

    world.before = by_hand
    return world, release(world, world.build("v2"), **SHORT)


def test_a_raise_moves_nobody_and_ends_the_release_with_the_editors_name() -> None:
    world, outcome = edited(lambda flag: replace(flag, share=50))
    assert outcome.result is Result.ABORTED
    assert "by bea@example.com: its share is 50 % and was 5 %" in outcome.reason
    assert world.max_share_seen == pytest.approx(0.05)
    assert_everybody_is_on(world, "v1")


def test_another_record_ends_the_release() -> None:
    def other(flag: Flag) -> Flag:
        assert flag.record is not None
        return replace(flag, record=replace(flag.record, candidate="sha256:" + "9" * 64))

    world, outcome = edited(other)
    assert outcome.result is Result.ABORTED
    assert "does not say what this release wrote" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_share_that_is_lowered_holds_and_is_never_raised_again_unasked() -> None:
    world, outcome = edited(lambda flag: replace(flag, share=1))
    assert outcome.result is Result.ABORTED
    assert "bea@example.com lowered the share to 1 %" in outcome.reason
    assert "baking" not in phases(world)
    assert world.clock.t > 120, "it is judged on, for the step and its extension"
    assert_everybody_is_on(world, "v1")


def test_with_an_order_to_promote_it_goes_on_from_a_share_that_was_lowered() -> None:
    world = World()

    def by_hand(call: str) -> None:
        flag = world.flag
        at_five = flag is not None and flag.record is not None and flag.record.share == 5
        if flag and at_five and call == "edge.counts" and world.promotion is None:
            world.promotion = Promotion(by="ana", reason="it is fine")
            world.flag = replace(flag, share=1, version=flag.version + 1)
        elif call == "flags.write baking":
            world.promotion = None

    world.before = by_hand
    assert release(world, world.build("v2"), **SHORT).result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_what_leaves_share_and_record_alone_is_no_reason_to_stop() -> None:
    world, outcome = edited(lambda flag: flag)
    assert outcome.result is Result.PROMOTED, outcome.reason
    assert_everybody_is_on(world, "v2")


def test_turning_the_flag_off_ends_the_release() -> None:
    world, outcome = edited(lambda flag: replace(flag, active=False))
    assert outcome.result is Result.ABORTED
    assert_everybody_is_on(world, "v1")


@pytest.mark.parametrize(("known", "refused"), [(8, True), (400, False), (0, False)])
def test_a_first_step_that_means_no_seller_at_all_is_refused(known: int, *, refused: bool) -> None:
    world = World()
    world.sellers = known
    if not refused:
        assert release(world, world.build("v2"), **SHORT).result is Result.PROMOTED
        return
    with pytest.raises(Refused, match="5 % is 0 of your 8 sellers"):
        release(world, world.build("v2"), **SHORT)
    assert "flags.write deploying" not in world.calls


@pytest.mark.parametrize(("rate", "result"), [(0.0, Result.HELD), (0.5, Result.ROLLED_BACK)])
def test_a_partial_count_of_the_fleet_speaks_against_a_build_and_never_for_it(
    rate: float, result: Result
) -> None:
    world = World()

    def silent(call: str) -> None:
        if world.effective_share():
            world.silent_edges = ("10.0.0.3:8080",)

    world.before = silent
    outcome = release(world, world.build("v2", error_rate=rate), **SHORT)
    assert outcome.result is result
    if result is Result.HELD:
        assert "not all there is: no answer from 10.0.0.3:8080" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_sellers_who_are_named_make_up_for_a_share_that_means_nobody() -> None:
    world = World()
    world.sellers = 8
    named = {"canary": {"service": CANARY, "sellers": ["ana", "bea"]}}
    assert release(world, world.build("v2"), **SHORT, **named).result is Result.PROMOTED
