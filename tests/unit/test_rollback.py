"""What Promote Previous Build promises."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import Refused, Unreachable
from slipway.ports import Deploy, DeployStatus
from slipway.release import rollback
from slipway.release.outcome import Outcome, Result
from slipway.release.target import choose
from tests.unit.builds import OTHER, STABLE, START, commit_of, digest
from tests.unit.world import World, fail_once, settings


def press(world: World, target: str = "previous", *, edge: bool = True) -> Outcome:
    ports = world.ports()
    plan = rollback.Plan(
        release="88.1-rollback",
        settings=settings(),
        stable=STABLE,
        target=target,
        reason="orders are lost",
        actor="ana",
        holder=OTHER,
    )
    return rollback.run(plan, ports, world.stop(ports) if edge else None)


def unanswered(*prefixes: str) -> World:
    world = World()

    def fail(call: str) -> None:
        if call.startswith(prefixes):
            raise Unreachable(f"{call} got no answer", remedy="Try again.")

    world.before = fail
    return world


def test_the_build_that_was_live_before_is_live_again() -> None:
    world = World()
    outcome = press(world)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert outcome.exit_code == 0
    assert world.running(STABLE) == "v0"
    assert (outcome.previous_build, outcome.build) == (digest("v1"), digest("v0"))
    assert "ana went back" in outcome.reason
    assert "orders are lost" in outcome.reason


@pytest.mark.parametrize("silent", [False, True])
def test_pressed_during_a_rolling_release_it_ends_that_and_goes_no_further_back(
    silent: bool,
) -> None:
    world = World()
    world.silent_while_running = silent
    world.build("v2")
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    outcome = press(world, edge=False)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "ana ended the release of" in outcome.reason
    world.clock.t += 600
    assert world.running(STABLE) == "v1"


def test_pressed_while_a_way_back_is_under_way_it_joins_it() -> None:
    world = World()
    world.deploy_by_somebody(STABLE, "v0", trigger="rollback")
    outcome = press(world, edge=False)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"
    assert not [c for c in world.calls if c.startswith("render.cancel")]


def test_everybody_is_off_the_canary_before_render_is_asked_anything() -> None:
    world = World()
    press(world)
    first_render = next(i for i, c in enumerate(world.calls) if c.startswith("render."))
    assert {"edge.kill", "flags.kill"} <= set(world.calls[:first_render])


def test_it_ends_a_release_under_way_whoever_drives_it() -> None:
    world = World()
    ports = world.ports()
    other = world.traffic(ports, "somebody-elses", digest("v2"))
    from slipway.ports import Phase  # noqa: PLC0415

    live = next(d for d in ports.platform.deploys(STABLE) if d.status is DeployStatus.LIVE)
    other.begin(live)
    other.set(Phase.CANARY, 5, "5 %")
    assert world.effective_share() == 5
    outcome = press(world)
    assert world.effective_share() == 0
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v1", "the build before the release is the previous one"
    assert outcome.previous_build == digest("v2")
    assert world.flag is not None
    assert not world.flag.active


def test_pressed_twice_it_does_nothing_more_and_names_the_next_older_build() -> None:
    world = World()
    world.services[STABLE].deploys.clear()
    world.seed(STABLE, "vA", "v0", "v1")
    press(world)
    again = press(world)
    assert again.result is Result.UNCHANGED
    assert again.exit_code == 0
    oldest = world.services[STABLE].deploys[0]
    assert f"target: {oldest.id}" in again.reason
    assert world.running(STABLE) == "v0"


def test_a_named_older_build_is_promoted_by_digest() -> None:
    world = World()
    world.seed(STABLE, "v2")
    assert press(world, digest("v0")).result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"


def test_a_build_from_git_goes_back_by_deploy_id_and_auto_deploy_is_turned_off() -> None:
    world = World(git=True)
    world.services[STABLE].auto_deploy = True
    outcome = press(world, commit_of("v0"))
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert f"render.roll_back {STABLE}" in world.calls
    assert not world.services[STABLE].auto_deploy


def test_a_running_deploy_is_cancelled_first() -> None:
    world = World()
    world.build("v2")
    world.deploy_by_somebody(STABLE, "v2")
    press(world)
    assert world.calls.index(f"render.cancel {STABLE}") < world.calls.index(
        f"render.start {STABLE}"
    )
    assert world.running(STABLE) == "v0"


def test_a_queued_deploy_that_slips_in_is_rolled_back_again() -> None:
    world = World()
    world.build("v2")
    slipped: list[str] = []

    def slip_in(call: str) -> None:
        if call == f"render.deploy {STABLE}" and world.running(STABLE) == "v0" and not slipped:
            slipped.append(call)
            world.deploy_by_somebody(STABLE, "v2")

    world.after = slip_in
    assert press(world).result is Result.PROMOTED_PREVIOUS
    assert slipped
    world.clock.t += 1000
    assert world.running(STABLE) == "v0"


@pytest.mark.parametrize("down", ["edge.", "flags."])
def test_one_of_edge_and_posthog_is_enough_and_the_other_is_named(down: str) -> None:
    world = unanswered(down)
    outcome = press(world)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "not confirmed at" in outcome.reason
    assert world.running(STABLE) == "v0"


def test_with_neither_edge_nor_posthog_the_build_still_goes_back_and_a_human_is_called() -> None:
    outcome = press(world := unanswered("edge.", "flags."))
    assert outcome.result is Result.FROZEN
    assert outcome.exit_code == 5
    assert world.running(STABLE) == "v0"


def test_a_service_without_an_edge_goes_back_too() -> None:
    world = World()
    outcome = press(world, edge=False)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert outcome.share is None
    assert not [c for c in world.calls if c.startswith(("edge", "flags"))]


def test_a_way_back_that_does_not_become_healthy_is_frozen_and_says_which_deploy_to_press() -> None:
    world = World()
    world.builds["v0"].becomes_live = False
    outcome = press(world)
    assert outcome.result is Result.FROZEN
    assert "still update_in_progress" in outcome.reason


def test_without_a_previous_build_it_is_refused() -> None:
    world = World()
    del world.services[STABLE].deploys[0]
    outcome = press(world)
    assert outcome.result is Result.REFUSED
    assert "no previous build" in outcome.reason


def test_a_build_that_never_served_is_no_way_back() -> None:
    world = World()
    world.build("v2", status="update_failed")
    world.deploy_by_somebody(STABLE, "v2")
    world.clock.t += 100
    outcome = press(world, digest("v2"))
    assert outcome.result is Result.REFUSED
    assert "never served" in outcome.reason


def test_an_unknown_target_is_refused_with_the_builds_there_are() -> None:
    outcome = press(World(), "dep-nope")
    assert outcome.result is Result.REFUSED
    assert "dep-1" in (outcome.remedy or "")


def test_a_record_left_by_a_run_that_died_is_no_release_under_way() -> None:
    world = World()
    ports = world.ports()
    dead = world.traffic(ports, "dead", digest("v2"))
    live = next(d for d in ports.platform.deploys(STABLE) if d.status is DeployStatus.LIVE)
    dead.begin(live)
    world.clock.t += 10_000
    assert press(world).result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"


@pytest.mark.parametrize("lost", ["render.start", "render.cancel", "render.deploy"])
@pytest.mark.parametrize("after", [False, True])
def test_one_lost_call_does_not_end_the_way_back(lost: str, after: bool) -> None:
    world = World()
    world.build("v2")
    world.deploy_by_somebody(STABLE, "v2")
    fail_once(0, after=after, matching=f"{lost} {STABLE}")(world)
    outcome = press(world)
    assert outcome.result is Result.PROMOTED_PREVIOUS, outcome.reason
    assert world.running(STABLE) == "v0"


def test_a_deploy_of_the_target_that_is_already_running_is_adopted() -> None:
    world = World()
    world.deploy_by_somebody(STABLE, "v0", trigger="manual")
    assert press(world, digest("v0")).result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"
    touched = (f"render.cancel {STABLE}", f"render.start {STABLE}")
    assert not [c for c in world.calls if c in touched]


def test_a_posthog_that_hangs_does_not_hold_the_way_back() -> None:
    world = World()
    world.seconds_of["flags."] = 60.0

    def hang(call: str) -> None:
        if call.startswith("flags."):
            raise Unreachable("PostHog does not answer", remedy="Wait.")

    started: list[float] = []
    world.before = hang
    world.after = lambda call: started.append(world.clock.t) if "render" in call else None
    outcome = press(world)
    assert started[0] < 5
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "not confirmed at PostHog" in outcome.reason


def test_auto_deploy_is_off_before_the_way_back_begins() -> None:
    world = World(git=True)
    world.services[STABLE].auto_deploy = True
    press(world, commit_of("v0"))
    calls = world.calls
    assert calls.index(f"render.auto_deploy {STABLE}") < calls.index(f"render.roll_back {STABLE}")


def test_with_render_down_it_says_that_going_back_is_not_finished() -> None:
    outcome = press(unanswered("render."))
    assert outcome.result is Result.FROZEN
    assert outcome.share == 0
    assert "was not finished" in outcome.reason


def test_a_cancelled_button_is_not_a_way_back() -> None:
    world = World()
    world.clock.cancel_at = 20
    outcome = press(world)
    assert outcome.result is Result.FROZEN
    assert world.clock.t < 30


statuses = st.sampled_from([s for s in DeployStatus if s is not DeployStatus.LIVE])


@given(st.lists(st.tuples(st.sampled_from("abc"), statuses), max_size=8), st.sampled_from("abc"))
def test_previous_is_always_a_build_that_served_before_and_is_another(
    past: list[tuple[str, DeployStatus]], live: str
) -> None:
    rows = [*past, (live, DeployStatus.LIVE)]
    history = [
        Deploy(
            id=f"dep-{n}",
            status=status,
            raw_status=status,
            identity=build,
            reference=build,
            trigger="api",
            created_at=START + timedelta(minutes=n),
            finished_at=None,
        )
        for n, (build, status) in enumerate(rows)
    ][::-1]
    try:
        chosen = choose(history, "previous").target
    except Refused:
        assert not [b for b, s in past if s is DeployStatus.DEACTIVATED and b != live]
        return
    if chosen is not None:
        assert chosen.status is DeployStatus.DEACTIVATED
        assert chosen.identity != live
    else:
        served = [b for b, s in past if s is DeployStatus.DEACTIVATED]
        assert live in served, "only a build that has come back is left where it is"


def test_the_record_says_where_a_way_back_goes_before_render_is_asked_to_go_there() -> None:
    world = World()
    press(world)
    intended = world.calls.index("flags.write rolling_back")
    assert intended < world.calls.index(f"render.start {STABLE}")


def test_an_outage_of_the_record_holds_no_way_back_up() -> None:
    world = unanswered("flags.write")
    assert press(world).result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"


def test_two_who_press_at_once_end_on_the_same_build() -> None:
    world = World()
    second: list[Outcome] = []

    def press_too(call: str) -> None:
        if call == f"render.start {STABLE}" and not second:
            second.append(Outcome(result=Result.UNCHANGED, reason="being pressed"))
            second[0] = press(world)

    world.after = press_too
    first = press(world)
    world.clock.t += 1000
    assert world.running(STABLE) == "v0"
    ends = {first.result, second[0].result}
    assert ends <= {Result.PROMOTED_PREVIOUS, Result.UNCHANGED}, (first, second)
    assert Result.PROMOTED_PREVIOUS in ends


def test_pressed_again_after_a_release_was_ended_it_says_that_somebody_has_just_done_it() -> None:
    from slipway.ports import Phase  # noqa: PLC0415

    world = World()
    ports = world.ports()
    other = world.traffic(ports, "somebody-elses", digest("v2"))
    live = next(d for d in ports.platform.deploys(STABLE) if d.status is DeployStatus.LIVE)
    other.begin(live)
    other.set(Phase.CANARY, 5, "5 %")
    assert press(world).result is Result.PROMOTED_PREVIOUS
    again = press(world)
    assert (again.result, again.exit_code) == (Result.UNCHANGED, 0)
    assert world.running(STABLE) == "v1"


def test_a_record_that_cannot_be_read_holds_no_way_back_up() -> None:
    outcome = press(world := unanswered("flags.read"))
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "not confirmed at PostHog" in outcome.reason
    assert world.running(STABLE) == "v0"
    assert world.effective_share() == 0
