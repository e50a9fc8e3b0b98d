"""What new code used may be taken away only when its last instance is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.errors import Unreachable
from slipway.ports import Deploy
from slipway.release import deploys
from slipway.release.deploys import Ports
from slipway.release.gone import LAST, NewInstances
from tests.unit.builds import CANARY
from tests.unit.world import World


def live(world: World, ports: Ports) -> Deploy:
    found = deploys.live(ports.platform.deploys(CANARY))
    assert found
    return found


def released(world: World, ports: Ports) -> tuple[NewInstances, Deploy]:
    """Put a new build on the canary service."""
    seen, before = NewInstances(ports, ports.platform.service(CANARY)), live(world, ports)
    ports.platform.start_deploy(CANARY, world.build("v2"))
    world.clock.sleep(100)
    return seen, before


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_it_waits_until_the_last_of_them_is_gone(rollout: str) -> None:
    world = World()
    world.rollout, ports = rollout, world.ports()
    seen, before = released(world, ports)
    back = ports.platform.roll_back(CANARY, before.id)
    began = world.clock.t
    assert seen.why_not_gone(before, back) is None
    assert world.clock.t - began >= 30
    assert all("-dep-" in i.id and back.id in i.id for i in ports.platform.instances(CANARY))


def test_new_code_that_nobody_has_replaced_is_named_when_time_is_up() -> None:
    world = World()
    ports = world.ports()
    seen, before = released(world, ports)
    began = world.clock.t
    why = seen.why_not_gone(before, before)
    assert why
    assert "may still run the new code (srv-canary-" in why
    assert LAST <= world.clock.t - began <= LAST + 10


def test_a_deploy_that_never_became_live_left_none() -> None:
    world = World()
    ports = world.ports()
    seen, before = NewInstances(ports, ports.platform.service(CANARY)), live(world, ports)
    ports.platform.start_deploy(CANARY, world.build("v2", status="update_failed"))
    world.clock.sleep(100)
    assert seen.why_not_gone(before, replace(before)) is None


def test_where_render_does_not_say_it_is_not_known_to_be_gone() -> None:
    world = World()
    ports = world.ports()
    seen, before = released(world, ports)

    def fail(call: str) -> None:
        if call.startswith("render.instances"):
            raise Unreachable("Render gave no answer", remedy="Try again.")

    world.before = fail
    why = seen.why_not_gone(before, before)
    assert why
    assert "Render does not say which there are" in why
