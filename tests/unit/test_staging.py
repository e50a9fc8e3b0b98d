"""What deploy-staging promises."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from slipway.errors import Refused
from slipway.release import staging
from slipway.release.outcome import Outcome, Result
from slipway.release.smoke import PAUSE, TRIES
from tests.unit.builds import STAGING, commit_of
from tests.unit.world import World, settings

Page = Callable[[float], tuple[int, str]]


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


def smoked(world: World, pages: dict[str, Page], *probes: dict[str, Any]) -> Outcome:
    artifact = world.build("v2", pages=pages)
    own = settings(staging={"service": STAGING, "smoke": list(probes)})
    plan = staging.Plan(release="1.1", settings=own, staging=STAGING, artifact=artifact)
    return staging.run(plan, world.ports())


def says(status: int, text: str = "") -> Page:
    return lambda _: (status, text)


def test_smoke_probes_that_are_answered_as_expected_are_a_success() -> None:
    world = World()
    outcome = smoked(
        world,
        {"/": says(200, "<h1>Shop</h1>"), "/old": says(302), "/gone": says(404)},
        {"path": "/", "contains": "<h1>Shop"},
        {"path": "/old", "status": 302},
        {"path": "/gone", "status": 404},
    )
    assert outcome.result is Result.DEPLOYED
    assert "smoke probes that passed: 3" in outcome.reason


def test_all_smoke_probes_that_fail_are_told_at_once_and_no_page_is_quoted() -> None:
    secret = "card 4111 1111"
    outcome = smoked(
        World(),
        {"/a": says(500, secret), "/b": says(200, secret), "/c": says(302), "/d": says(200, "ok")},
        {"path": "/a"},
        {"path": "/b", "contains": "Welcome\n`@here` " + "x" * 100},
        {"path": "/c"},
        {"path": "/d", "contains": "ok"},
    )
    assert outcome.result is Result.FAILED
    assert outcome.exit_code == 1
    assert outcome.reason.startswith("3 of 4 smoke probes failed: ")
    assert "GET /a: expected HTTP 200, found HTTP 500" in outcome.reason
    assert "GET /b: expected HTTP 200 with “Welcome `@here` xxx" in outcome.reason
    assert "x" * 60 not in outcome.reason
    assert "found HTTP 200 in 0.1 s without it" in outcome.reason
    assert "GET /c: expected HTTP 200, found HTTP 302" in outcome.reason
    assert "/d" not in outcome.reason
    assert secret not in outcome.reason


def test_an_application_may_warm_up_before_a_smoke_probe_is_answered() -> None:
    def warm(seconds: float) -> tuple[int, str]:
        return (200, "") if seconds > 12 else (503, "")

    assert smoked(World(), {"/": warm}, {"path": "/"}).result is Result.DEPLOYED


@pytest.mark.parametrize(("deadline", "asked"), [("120s", TRIES), ("5s", 2)])
def test_a_smoke_probe_is_asked_a_few_times_within_the_health_deadline(
    deadline: str, asked: int
) -> None:
    world, times = World(), []

    def page(seconds: float) -> tuple[int, str]:
        times.append(seconds)
        return 500, ""

    artifact = world.build("v2", pages={"/": page})
    own = settings(
        staging={"service": STAGING, "smoke": [{"path": "/"}]}, health={"deadline": deadline}
    )
    plan = staging.Plan(release="1.1", settings=own, staging=STAGING, artifact=artifact)
    assert staging.run(plan, world.ports()).result is Result.FAILED
    assert len(times) == asked
    assert {round(b - a) for a, b in pairwise(times)} == {PAUSE}


def test_a_job_that_is_cancelled_while_a_probe_is_asked_again_does_not_blame_the_build() -> None:
    world = World()
    world.clock.cancel_at = 50
    assert smoked(world, {"/": says(500)}, {"path": "/"}).result is Result.ABORTED


def test_a_build_that_staging_runs_already_is_unchanged_and_is_asked_all_the_same() -> None:
    world = World()
    artifact = world.build("v2")
    plan = staging.Plan(release="1.1", settings=settings(), staging=STAGING, artifact=artifact)
    assert staging.run(plan, world.ports()).result is Result.DEPLOYED
    again = staging.run(plan, world.ports())
    assert again.result is Result.UNCHANGED
    assert again.build == again.previous_build == artifact.identity
    world.builds["v2"].healthy = False
    assert staging.run(plan, world.ports()).result is Result.FAILED
