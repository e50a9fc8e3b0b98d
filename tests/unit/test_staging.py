"""What deploy-staging promises."""

from __future__ import annotations

import pytest

from slipway.errors import Refused
from slipway.release import staging
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STAGING, commit_of
from tests.unit.world import World, settings


def deploy(world: World, name: str) -> Outcome:
    artifact = world.build(name)
    plan = staging.Plan(release="1.1", settings=settings(), staging=STAGING, artifact=artifact)
    return staging.run(plan, world.ports())


def test_staging_runs_the_build_and_answers_as_it() -> None:
    world = World(git=True)
    outcome = deploy(world, "v2")
    assert outcome.result is Result.DEPLOYED
    assert world.running(STAGING) == "v2"
    assert outcome.build == commit_of("v2")


def test_a_deploy_of_the_same_build_is_adopted_and_not_started_twice() -> None:
    world = World()
    world.build("v2")
    world.deploy_by_somebody(STAGING, "v2", trigger="api")
    assert deploy(world, "v2").result is Result.DEPLOYED
    assert f"render.start {STAGING}" not in world.calls


def test_a_build_that_answers_badly_is_not_a_success() -> None:
    world = World()
    artifact = world.build("v2", healthy=False)
    plan = staging.Plan(release="1.1", settings=settings(), staging=STAGING, artifact=artifact)
    outcome = staging.run(plan, world.ports())
    assert outcome.result is Result.FAILED
    assert "did not answer" in outcome.reason


def test_a_suspended_staging_service_is_refused() -> None:
    world = World()
    world.services[STAGING].suspended = True
    with pytest.raises(Refused, match="suspended"):
        deploy(world, "v2")


def test_a_cancelled_job_leaves_no_deploy_behind() -> None:
    world = World()
    world.clock.cancel_at = 10
    assert deploy(world, "v2").result is Result.ABORTED
    assert f"render.cancel {STAGING}" in world.calls
    world.clock.t += 1000
    assert world.running(STAGING) == "v1"


def test_a_deploy_replaced_by_somebody_else_is_not_a_success() -> None:
    world = World()
    world.build("v3")

    def replace(call: str) -> None:
        if call == f"render.deploy {STAGING}" and "v3" not in str(world.running(STAGING)):
            world.before = lambda call: None
            world.deploy_by_somebody(STAGING, "v3")
            world.clock.t += 100

    world.before = replace
    outcome = deploy(world, "v2")
    assert outcome.result is Result.ABORTED
    assert "replaced by another deploy" in outcome.reason
