"""Going back to a build that Render no longer keeps: the same commit, built anew, and said."""

from __future__ import annotations

import pytest

from slipway.errors import DeployFailed
from slipway.ports import Deploy
from slipway.release.deploys import Ports
from slipway.release.goback import go_back
from slipway.release.journal import Kind
from tests.unit.builds import STABLE, commit_of
from tests.unit.world import World


def expired() -> tuple[World, Ports, Deploy]:
    """A service built from Git that runs v1, and its deploy of v0, whose build is gone."""
    world = World(git=True)
    ports = world.ports()
    target = next(d for d in ports.platform.deploys(STABLE) if d.identity == commit_of("v0"))
    world.expired = {target.id}
    world.calls.clear()
    return world, ports, target


def back(ports: Ports, target: Deploy) -> Deploy:
    return go_back(ports, STABLE, target, image_backed=False, deadline=600)


def troubles(ports: Ports) -> str:
    return "\n".join(e.text for e in ports.journal.entries if e.kind is Kind.TROUBLE)


def test_the_same_commit_is_built_anew_and_that_is_said() -> None:
    world, ports, target = expired()
    arrived = back(ports, target)
    assert (arrived.identity, world.running(STABLE)) == (commit_of("v0"), "v0")
    assert arrived.id != target.id
    assert world.calls.count(f"render.roll_back {STABLE}") == 1
    assert world.calls.count(f"render.start {STABLE}") == 1
    for words in ("built anew", "as long as a build", "environment values of now"):
        assert words in troubles(ports)


def test_a_build_that_is_kept_is_rolled_back_to_and_nothing_is_built() -> None:
    world, ports, target = expired()
    world.expired = set()
    assert back(ports, target).identity == commit_of("v0")
    assert f"render.start {STABLE}" not in world.calls
    assert troubles(ports) == ""


def test_it_is_found_where_render_only_queues_it() -> None:
    world, ports, target = expired()
    world.queue_deploys = True
    assert back(ports, target).identity == commit_of("v0")


def test_a_commit_that_can_no_longer_be_built_ends_the_way_back_after_two_tries() -> None:
    world, ports, target = expired()
    world.builds["v0"].status = "build_failed"
    with pytest.raises(DeployFailed, match="build_failed"):
        back(ports, target)
    assert world.calls.count(f"render.start {STABLE}") == 2
    assert world.running(STABLE) == "v1"


def test_another_commit_that_went_live_instead_is_not_taken_for_it() -> None:
    world, ports, target = expired()

    def slip_in(call: str) -> None:
        if call == f"render.start {STABLE}" and world.calls.count(call) == 1:
            world.deploy_by_somebody(STABLE, "v1")

    world.after = slip_in
    assert back(ports, target).identity == commit_of("v0")
    assert world.running(STABLE) == "v0"
