"""The way back while something outside is down: until when it is tried, and what it says then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.errors import NotFound, Unauthorized
from slipway.ports import Phase
from slipway.release.outcome import Result
from tests.unit.builds import CANARY, STABLE, digest, image
from tests.unit.dying import (
    RunnerDied,
    assert_everybody_is_on,
    lapse,
    put_in_order,
    record,
    release,
)
from tests.unit.outages import (
    CASES,
    DEADLINE,
    SHORTER,
    Error,
    Outage,
    answers,
    bad_release,
    fails,
    no_answer,
    press,
    status_500,
)
from tests.unit.world import World

# A release that goes back by itself


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("error", [no_answer, status_500, answers(Unauthorized), answers(NotFound)])
def test_with_render_down_the_share_is_zero_and_what_is_not_known_is_frozen(
    case: str, error: Error
) -> None:
    world, outcome = bad_release(case, Outage(prefixes=("render.",), error=error))
    assert world.effective_share() == 0
    assert outcome.seconds_to_zero is not None
    assert outcome.exit_code != 0
    if case == "settling":
        assert outcome.result is Result.FROZEN
        assert "press Rollback on deploy dep-2 (sha256:7631" in (outcome.remedy or "")
        assert "of srv-stable at Render" in (outcome.remedy or "")
        assert "run Reconcile" in (outcome.remedy or "")
        assert (record(world).phase, record(world).stable_build) == (Phase.FROZEN, digest("v1"))
        put_in_order(world)
        assert_everybody_is_on(world, "v1")


def test_it_is_tried_until_the_time_that_the_first_line_states() -> None:
    outage = Outage(prefixes=("render.",))
    world = World()
    world.build("v2", **CASES["settling"])
    outage.arrange(world)
    ports = world.ports()
    release(world, image("v2"), ports=ports, short=SHORTER)
    assert outage.began is not None
    texts = [e.text for e in ports.journal.entries if "srv-stable" in e.text]
    first = next(n for n, text in enumerate(texts) if text.startswith("going back on"))
    assert "UTC at most" in texts[first]
    progress = [text for text in texts[first:] if "tried again until" in text]
    assert 10 <= len(progress) <= 1 + DEADLINE / 30, "said again every half minute, not each try"
    assert DEADLINE <= world.clock.t - outage.began < DEADLINE + 120


def test_a_key_that_was_withdrawn_is_not_waited_for() -> None:
    outage = Outage(prefixes=("render.",), error=answers(Unauthorized))
    world, outcome = bad_release("settling", outage)
    assert outcome.result is Result.FROZEN
    assert outage.began is not None
    assert world.clock.t - outage.began < 60


@pytest.mark.parametrize("case", ["canary", "baking"])
def test_where_the_stable_service_was_not_touched_nobody_waits_for_render(case: str) -> None:
    outage = Outage(prefixes=("render.",))
    world, outcome = bad_release(case, outage)
    assert outage.began is not None
    assert world.clock.t - outage.began < 60, "people are told at once"
    assert outcome.result is Result.ROLLED_BACK
    put_in_order(world)
    assert_everybody_is_on(world, "v1")
    assert world.services[CANARY].instances == 1


def test_render_back_in_time_ends_as_if_nothing_had_been() -> None:
    world = World()
    world.build("v2", **CASES["settling"])
    outage = Outage(prefixes=("render.",))
    outage.arrange(world)
    down = world.before

    def for_a_while(call: str) -> None:
        if outage.began is None or world.clock.t < outage.began + DEADLINE / 2:
            down(call)

    world.before = for_a_while
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.ROLLED_BACK
    assert_everybody_is_on(world, "v1")
    assert outcome.seconds_to_old_code is not None
    assert outcome.seconds_to_old_code > DEADLINE / 2


def test_a_hanging_render_does_not_hold_the_way_back_much_longer_than_stated() -> None:
    world = World()
    world.build("v2", **CASES["settling"])
    outage = Outage(prefixes=("render.",))
    outage.arrange(world)
    down = world.before

    def hang(call: str) -> None:
        if outage.began is not None and call.startswith("render."):
            world.clock.t += 150  # five tries of one call
        down(call)

    world.before = hang
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.FROZEN
    assert outage.began is not None
    assert world.clock.t - outage.began < DEADLINE + 5 * 150 + 60


def test_a_deploy_that_nobody_could_read_blames_no_build_and_claims_none() -> None:
    world = World()
    world.build("v2")

    def down(call: str) -> None:
        if "flags.write settling" in world.calls and call == f"render.start {STABLE}":
            world.before = fails("render.")

    world.before = down
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.FROZEN, outcome.reason
    assert outcome.build == ""
    world.before = lambda call: None
    put_in_order(world)
    assert_everybody_is_on(world, "v1")


def unread_until(world: World, seconds: float) -> None:
    """Have Render fail while the stable service gets the build, until so long after its start."""
    began: list[float] = []

    def down(call: str) -> None:
        settling = "flags.write settling" in world.calls
        if began and began[0] < world.clock.t < began[0] + seconds:
            fails("render.")(call)
        if settling and call == f"render.start {STABLE}" and not began:
            began.append(world.clock.t)

    world.before = down


def test_a_deploy_that_could_not_be_read_in_time_is_no_reason_to_blame_the_build() -> None:
    world = World()
    world.build("v2")
    unread_until(world, DEADLINE + 20)
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.ABORTED, outcome.reason


def test_which_build_a_stopped_release_left_is_asked_until_render_answers() -> None:
    world = World()
    world.build("v2")
    unread_until(world, DEADLINE + 200)
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.ABORTED, outcome.reason
    assert outcome.build == digest(world.running(STABLE) or "") == digest("v2")


def test_a_deploy_of_somebody_else_over_a_bad_build_claims_nothing_before_it_is_live() -> None:
    world, theirs = World(), list[str]()
    world.build("v2", **CASES["settling"])

    def person(call: str) -> None:
        if call == "edge.kill" and not theirs:
            theirs.append(call)
            world.builds["v0"].becomes_live = False
            for placed in world.services[STABLE].deploys:
                placed.live_at = placed.live_at or placed.created + 40
            world.deploy_by_somebody(STABLE, "v0", trigger="manual")

    world.before = person
    outcome = release(world, image("v2"), short=SHORTER)
    assert theirs
    assert world.running(STABLE) == "v2"
    assert outcome.result is Result.FROZEN, outcome.reason
    assert outcome.build == ""


def test_what_was_frozen_is_not_finished_though_edge_and_record_do_not_know() -> None:
    outage = Outage(prefixes=("render.", "flags."))
    world, outcome = bad_release("settling", outage)
    assert outcome.result is Result.FROZEN
    assert record(world).phase is Phase.SETTLING, "PostHog was down"
    world.killed = None  # the edge has restarted
    world.builds["v2"].sick_after = None  # for a moment it looks well
    lapse(world)
    put_in_order(world)
    assert_everybody_is_on(world, "v1")


def test_an_image_that_cannot_be_pulled_names_the_next_older_build_that_passed() -> None:
    world = World()
    world.services[STABLE].deploys.clear()
    world.seed(STABLE, "vA", "vB", "v0", "v1")
    world.unvouched.add("v0")
    world.build("v2", **CASES["settling"])
    world.before = _gone(world, "v1", "update_failed")
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.FROZEN
    by_name = {d.build.name: d.id for d in world.services[STABLE].deploys[:4]}
    assert f"press Rollback on deploy {by_name['vB']} " in (outcome.remedy or ""), outcome.remedy
    assert f"{by_name['v1']} does not come back" in (outcome.remedy or "")


def _gone(world: World, name: str, status: str) -> Callable[[str], None]:
    def hook(call: str) -> None:
        if call == "edge.kill":
            world.builds[name].status = status

    return hook


def test_a_git_build_that_render_does_not_keep_is_built_anew_after_an_outage_too() -> None:
    world = World(git=True)
    world.build("v2", **CASES["settling"])
    world.expired = {d.id for d in world.services[STABLE].deploys}
    lost: list[str] = []

    def once(call: str) -> None:
        if call == f"render.roll_back {STABLE}" and len(lost) < 2:
            lost.append(call)
            raise no_answer(call)

    world.before = once
    artifact = world.build("v2", **CASES["settling"])
    outcome = release(world, artifact, short=SHORTER)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert world.running(STABLE) == "v1"


@pytest.mark.parametrize("case", ["canary", "baking", "settling"])
def test_github_down_changes_no_way_back(case: str) -> None:
    world, outcome = bad_release(case, Outage(prefixes=("github.",)))
    assert outcome.result is Result.ROLLED_BACK
    assert_everybody_is_on(world, "v1")


# Times


def test_before_settling_old_code_serves_everybody_with_share_zero() -> None:
    _, outcome = bad_release("canary", Outage())
    assert outcome.seconds_to_old_code == outcome.seconds_to_zero


def test_after_settling_has_begun_it_takes_a_deploy_and_two_readings() -> None:
    world, outcome = bad_release("settling", Outage())
    assert outcome.seconds_to_old_code is not None
    needed = world.deploy_seconds + world.ports().confirm
    assert needed <= outcome.seconds_to_old_code < needed + 30


@pytest.mark.parametrize("down", ["edge.", "render."])
def test_what_is_not_confirmed_has_no_time(down: str) -> None:
    _, outcome = bad_release("settling", Outage(prefixes=(down,)))
    assert outcome.seconds_to_old_code is None


def test_a_persons_way_back_says_when_old_code_served_everybody() -> None:
    world = World()
    outcome = press(world)
    assert outcome.seconds_to_old_code is not None
    assert outcome.seconds_to_old_code >= world.deploy_seconds + world.ports().confirm


def test_a_persons_way_back_with_the_edge_down_has_no_time() -> None:
    world = World()
    world.before = fails("edge.")
    assert press(world).seconds_to_old_code is None


def test_a_runner_that_dies_while_render_is_down_leaves_the_rest_to_reconcile() -> None:
    world = World()
    world.build("v2", **CASES["settling"])
    outage = Outage(prefixes=("render.",))
    outage.arrange(world)
    down = world.before

    def dies(call: str) -> None:
        if outage.began is not None and world.clock.t > outage.began + 100:
            raise RunnerDied
        down(call)

    world.before = dies
    with pytest.raises(RunnerDied):
        release(world, image("v2"), short=SHORTER)
    world.before = world.after = lambda call: None
    assert record(world).phase is Phase.ROLLING_BACK
    lapse(world)
    put_in_order(world)
    assert_everybody_is_on(world, "v1")
