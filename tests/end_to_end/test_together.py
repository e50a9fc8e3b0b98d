"""Bot and dashboard as one release, in a sandbox of their own with four dashboards."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.demo.world import World
from tests.end_to_end.conftest import Job, Shop, get
from tests.end_to_end.test_release import FAST

QUICK: dict[str, Any] = {
    **FAST,
    "services.dashboard.strategy": {"deploy-deadline": "60s", "rolling": {"watch": "2s"}},
}
NEVER_HEALTHY = {"needs": "STAGING_ONLY"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    world = World(tmp_path_factory.mktemp("world"), lag=0.3, rate=80, rolling=True)
    try:
        world.start()
        yield Shop(world, tmp_path_factory.mktemp("jobs"))
    finally:
        world.stop()


def push(shop: Shop, dashboard: dict[str, Any] | None = None) -> dict[str, Any]:
    """Push a good bot and a dashboard; return what a release of whatever changed is given."""
    image, commit = shop.push_image("together", dashboard or {}, app="dashboard")
    return {"service": "", "image": f"bot={image}", "commit": commit}


def serving(shop: Shop) -> tuple[set[str], set[str]]:
    """Return which builds bot and dashboard serve in production."""
    now = shop.state()["serving"]
    return now[shop.world.service_id("bot")], now[shop.world.service_id("ui")]


def production(job: Job) -> list[tuple[str, str]]:
    done = json.loads(job.outputs["services"])
    return [(d["service"], d["result"]) for d in done if d["environment"] == "production"]


def deployments(shop: Shop, environment: str) -> list[tuple[str, str]]:
    """Return task and state of an environment's deployments, oldest first."""
    state = get(f"{shop.world.url('github')}/_sandbox/state")
    return [
        (made["task"], made["state"])
        for made in state["deployments"]
        if made["environment"] == environment
    ]


def test_where_the_second_fails_the_first_goes_back_and_its_build_no_longer_counts_as_passed(
    both: Shop,
) -> None:
    before = serving(both)
    asked = push(both, NEVER_HEALTHY)
    number = both.world.open_pull_request(asked["commit"], "New prices")
    job = both.run("release", settings=QUICK, **asked)

    assert job.exit_code == 1, job.log
    assert job.outputs["result"] == "rolled-back"
    assert production(job) == [
        ("bot", "promoted"),
        ("dashboard", "rolled-back"),
        ("bot", "promoted-previous"),
    ]
    assert serving(both) == before
    assert both.state()["share"] == 0
    assert deployments(both, "production/bot")[-2:] == [
        ("deploy", "failure"),
        ("rollback", "success"),
    ]
    assert "bot: canary, because bot/build.json changed" in job.summary.replace("\\", "")
    page = both.pull_request(number)
    assert page.count("<article") == 1
    assert "everybody is on an earlier build" in page
    assert "released together with dashboard, which is rolled-back" in page


def test_a_runner_that_dies_between_the_two_leaves_a_release_that_a_re_run_finishes(
    both: Shop,
) -> None:
    asked = push(both)
    running = both.start("release", settings=QUICK, **asked)
    running.wait_for("until all 4 instances are replaced", 90)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait(5)

    again = both.run("release", settings=QUICK, **{**asked, "service": "bot dashboard"})

    assert again.exit_code == 0, again.log
    assert production(again) == [("bot", "unchanged"), ("dashboard", "promoted")]
    assert serving(both) == ({asked["commit"]}, {asked["commit"]})


def test_a_job_cancelled_in_the_second_says_what_stays(both: Shop) -> None:
    bot, dashboard = serving(both)
    asked = push(both)
    running = both.start("release", settings=QUICK, **asked)
    running.wait_for("until all 4 instances are replaced", 90)
    running.process.send_signal(signal.SIGINT)
    job = running.wait(7.5)

    assert job.exit_code == 4
    assert "no time to take bot back" in job.outputs["reason"]
    assert "Promote Previous Build for bot" in job.errors[0]
    assert serving(both)[0] == {asked["commit"]} != bot
    assert serving(both)[1] == dashboard


def test_what_has_not_changed_is_left_alone(both: Shop) -> None:
    (commit,) = serving(both)[0]
    job = both.run("release", settings=QUICK, service="", commit=commit)
    assert job.exit_code == 0, job.log
    assert "bot: left alone, because none of its files changed" in job.log
