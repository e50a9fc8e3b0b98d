"""What a person orders by the modes of the root action: observe, promote-now, abort, direct."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.errors import Refused
from slipway.ports import Artifact, DeployStatus, Holder, Phase
from slipway.release import abort, canary, direct, promote, rolling
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Plan
from slipway.release.takeover import Order
from tests.unit.builds import CANARY, OTHER, STABLE, digest
from tests.unit.world import World, settings
from tests.unit.world_ports import MemoryEdge

MINUTE = 60.0


def order() -> Order:
    return Order(
        release="88.1-order",
        settings=settings(),
        stable=STABLE,
        reason="sellers wait",
        actor="ana",
        holder=OTHER,
    )


def release(world: World, artifact: Artifact, *, observe: bool = False) -> tuple[Outcome, str]:
    """Return how a canary ended, and what it noted for people."""
    ports = replace(world.ports(), observe=observe)
    plan = Plan(
        release="77.1-candidate",
        settings=settings(),
        stable=STABLE,
        canary=CANARY,
        artifact=artifact,
    )
    outcome = canary.run(plan, ports, world.traffic(ports, plan.release, artifact.identity))
    return outcome, "\n".join(entry.text for entry in ports.journal.entries)


# -- observe ----------------------------------------------------------------------------------


def test_observing_says_once_what_would_have_been_done_and_goes_on() -> None:
    world = World()
    outcome, noted = release(world, world.build("v2", error_rate=0.3), observe=True)
    assert outcome.result is Result.PROMOTED
    assert world.running(STABLE) == "v2"
    assert noted.count("only observed, or it would have been stopped") == 1
    assert "times as often as the build before" in noted


def test_observing_a_sick_build_says_so_too() -> None:
    world = World()
    _, noted = release(world, world.build("v2", sick_after=100), observe=True)
    assert "only observed, or it would have been stopped" in noted
    assert "failed 3 times in a row" in noted


def test_observing_promotes_no_build_that_does_not_start() -> None:
    world = World()
    outcome, _ = release(world, world.build("v2", becomes_live=False), observe=True)
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"


def test_observing_a_good_build_says_nothing_of_the_kind() -> None:
    world = World()
    _, noted = release(world, world.build("v2"), observe=True)
    assert "only observed" not in noted


@pytest.mark.parametrize("behaviour", [{"drops": 5}, {"sick_after": 30}])
def test_observing_a_rolling_release_says_so_and_goes_on(behaviour: dict[str, int]) -> None:
    world = World(git=True)
    ports = replace(world.ports(), observe=True)
    plan = rolling.Plan(
        release="77.1-candidate",
        settings=settings(canary=None, edge=None, strategy={"rolling": {"probe-every": "1s"}}),
        stable=STABLE,
        artifact=world.build("v2", **behaviour),
    )
    outcome = rolling.run(plan, ports)
    assert outcome.result is Result.PROMOTED
    assert world.running(STABLE) == "v2"
    assert [entry.text[:13] for entry in ports.journal.would_have] == ["only observed"]


# -- promote-now ------------------------------------------------------------------------------


def ordered_at(world: World, seconds: float, act: Callable[[], None]) -> None:
    """Let somebody do something at a time, beside the release."""
    done: list[bool] = []

    def hook(call: str) -> None:
        if world.clock.t >= seconds and not done:
            done.append(True)
            act()

    world.before = hook


def leave_the_order(world: World) -> Callable[[], None]:
    def act() -> None:
        MemoryEdge(world).promote("77.1-candidate", "ana", "the show begins")

    return act


def test_an_order_to_promote_ends_the_judging_and_keeps_every_other_step() -> None:
    world = World()
    ordered_at(world, 3 * MINUTE, leave_the_order(world))
    outcome, noted = release(world, world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert world.running(STABLE) == "v2"
    assert world.clock.t < 8 * MINUTE, "neither ten minutes of canary nor ten of bake"
    assert "ana promotes it now: the show begins" in noted
    writes = [c for c in world.calls if c.startswith("flags.write")]
    assert [c.split()[1] for c in writes] == [
        "deploying",
        "canary",
        "baking",
        "settling",
        "stable",
    ]


def test_an_order_to_promote_saves_no_bad_build() -> None:
    world = World()
    ordered_at(world, 100, leave_the_order(world))
    outcome, _ = release(world, world.build("v2", error_rate=1.0))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"


def canary_under_way(world: World) -> None:
    """Somebody else's release is in its canary, and holds the lease."""
    ports = world.ports()
    world.build("v2")
    other = world.traffic(ports, "77.1-candidate", digest("v2"))
    live = next(d for d in ports.platform.deploys(STABLE) if d.status is DeployStatus.LIVE)
    other.begin(live)
    other.set(Phase.CANARY, 5, "5 % of the sellers")


def test_promote_now_waits_until_the_release_has_promoted() -> None:
    world = World()
    canary_under_way(world)

    def it_promotes() -> None:
        world.deploy_by_somebody(STABLE, "v2")
        world.services[STABLE].deploys[-1].live_at = world.clock.t
        assert world.flag
        assert world.flag.record
        stable = replace(world.flag.record, phase=Phase.STABLE, share=0)
        world.flag = replace(world.flag, record=stable)
        world.lease = None

    ordered_at(world, world.clock.t + 60, it_promotes)
    outcome = promote.run(order(), world.ports(), MemoryEdge(world))
    assert world.promotion is not None
    assert (world.promotion.by, world.promotion.reason) == ("ana", "sellers wait")
    assert outcome.result is Result.PROMOTED
    assert outcome.build == digest("v2")


def test_promote_now_is_no_success_while_the_release_is_on_its_way_back() -> None:
    world = World()
    canary_under_way(world)

    def it_goes_back_after_all() -> None:
        world.deploy_by_somebody(STABLE, "v2")
        world.services[STABLE].deploys[-1].live_at = world.clock.t
        world.killed = "77.1-candidate"
        world.lease = None

    ordered_at(world, world.clock.t + 60, it_goes_back_after_all)
    outcome = promote.run(order(), world.ports(), MemoryEdge(world))
    assert outcome.result is Result.ABORTED


def test_promote_now_of_a_release_that_is_rolled_back_is_not_a_success() -> None:
    world = World()
    canary_under_way(world)

    def it_goes_back() -> None:
        world.lease = None

    ordered_at(world, world.clock.t + 60, it_goes_back)
    outcome = promote.run(order(), world.ports(), MemoryEdge(world))
    assert outcome.result is Result.ABORTED
    assert outcome.exit_code != 0
    assert outcome.build == digest("v1")


def test_promote_now_without_a_canary_changes_nothing() -> None:
    world = World()
    with pytest.raises(Refused, match="no canary is being judged"):
        promote.run(order(), world.ports(), MemoryEdge(world))
    assert world.promotion is None


# -- abort ------------------------------------------------------------------------------------


def test_abort_ends_the_canary_under_way_and_leaves_the_stable_service_alone() -> None:
    world = World()
    canary_under_way(world)
    ports = world.ports()
    outcome = abort.run(order(), ports, world.stop(ports))
    assert outcome.exit_code == 0
    assert "ana ended the release" in outcome.reason
    assert world.effective_share() == 0
    assert world.running(STABLE) == "v1"
    assert not [c for c in world.calls if c.startswith(f"render.start {STABLE}")]


def test_abort_cancels_a_deploy_of_the_stable_service() -> None:
    world = World()
    world.build("v2")
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    outcome = abort.run(order(), world.ports(), None)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "ana cancelled dep-" in outcome.reason
    world.clock.t += 600
    assert world.running(STABLE) == "v1"


def test_abort_takes_back_nothing_that_is_live() -> None:
    world = World()
    ports = world.ports()
    outcome = abort.run(order(), ports, world.stop(ports))
    assert outcome.result is Result.UNCHANGED
    assert "no release of srv-stable is under way" in outcome.reason
    assert "Promote Previous Build" in (outcome.remedy or "")
    assert world.running(STABLE) == "v1"


# -- direct -----------------------------------------------------------------------------------


def deploy(world: World, artifact: Artifact, *, edge: bool = True) -> Outcome:
    ports = world.ports()
    plan = direct.Plan(
        release="88.1-direct",
        settings=settings(),
        stable=STABLE,
        reason="sellers wait",
        actor="ana",
        holder=Holder(run_id="88", attempt=1),
        artifact=artifact,
    )
    return direct.run(plan, ports, world.stop(ports) if edge else None)


def test_a_direct_deploy_is_live_for_everybody_within_one_deploy_and_says_who_and_why() -> None:
    world = World()
    outcome = deploy(world, world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert world.running(STABLE) == "v2"
    assert world.clock.t < 3 * MINUTE
    assert "ana deployed" in outcome.reason
    assert "sellers wait" in outcome.reason


def test_a_direct_deploy_of_an_older_build_is_refused_before_anything_is_touched() -> None:
    # Somebody runs an old direct deploy again: what was proven then still is.
    world = World()
    older = world.build("v2")
    world.build("v3")
    world.unvouched -= {"v2", "v3"}
    world.deploy_by_somebody(STABLE, "v3")
    world.clock.sleep(MINUTE * 10)
    assert world.running(STABLE) == "v3"
    with pytest.raises(Refused, match="would take commits back") as refused:
        deploy(world, older)
    assert "Promote Previous Build" in refused.value.remedy
    assert world.running(STABLE) == "v3"


def test_a_direct_deploy_ends_the_canary_and_the_deploy_that_stand_in_its_way() -> None:
    world = World()
    canary_under_way(world)
    world.build("stuck", becomes_live=False)
    world.deploy_by_somebody(STABLE, "stuck")
    outcome = deploy(world, world.build("v3"))
    assert outcome.result is Result.PROMOTED
    assert world.effective_share() == 0
    assert world.running(STABLE) == "v3"


def test_a_direct_deploy_that_does_not_start_leaves_what_was_live() -> None:
    world = World()
    outcome = deploy(world, world.build("v2", status="update_failed"))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"
    assert outcome.build == digest("v1")


def test_a_direct_deploy_that_is_live_and_sick_is_for_a_human() -> None:
    world = World()
    outcome = deploy(world, world.build("v2", healthy=False))
    assert outcome.result is Result.FROZEN
    assert outcome.exit_code == Result.FROZEN.exit_code


@pytest.mark.parametrize("silent", [False, True])
def test_a_cancelled_direct_deploy_does_not_go_on_by_itself(silent: bool) -> None:
    world = World()
    world.silent_while_running = silent
    world.clock.cancel_at = 20
    outcome = deploy(world, world.build("v2"), edge=False)
    assert outcome.exit_code != 0
    world.clock.t += 600
    assert world.running(STABLE) == "v1"
