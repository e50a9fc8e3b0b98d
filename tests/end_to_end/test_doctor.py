"""doctor on the whole sandbox: a set-up that is right, and one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.demo.world import REPOSITORY, post
from tests.end_to_end.conftest import Shop
from tests.end_to_end.test_bad_input import set_suspended

# What Render's side of the sandbox is like is not the point here.
PLAIN: dict[str, Any] = {"services.bot.promises": {"autoscaling": False, "health-path": False}}


@pytest.fixture
def wrong(calm: Shop) -> Iterator[Shop]:
    """The shop with reviewers for production, no staging environment and no canary service."""
    github = f"{calm.world.url('github')}/_sandbox/environments"
    post(github, {"production": ["required_reviewers", "branch_policy"]})
    canary = calm.world.service_id("canary")
    set_suspended(calm, canary, "suspend")
    yield calm
    set_suspended(calm, canary, "resume")
    post(github, {"production": ["branch_policy"], "staging": ["branch_policy"]})


def test_a_set_up_that_is_right_has_nothing_wrong(calm: Shop) -> None:
    job = calm.run("doctor", settings=PLAIN)
    assert job.exit_code == 0, job.log
    assert "✖" not in job.log
    assert "is live, and it passed: releases can go back" in job.log
    assert "bot-canary is like bot-stable" in job.log
    assert "the edge at" in job.log
    for key in ("render-api-key", "github-token", "posthog-api-key", "edge-token"):
        assert f"✔ {key} is accepted" in job.log
    assert "environment production is there" in job.log
    assert "gh secret set EDGE_TOKEN --env production" in job.log
    assert "in all" in job.summary


def test_a_wrong_set_up_is_told_line_by_line_and_nothing_is_changed(wrong: Shop) -> None:
    before = wrong.state()
    broken = {
        "services.bot.edge.flag": "another-flag",
        "services.bot.promises": {"instances": 3},
        "services.bot.health.path": "/nothing-here",
    }
    job = wrong.run("doctor", settings=broken, keys={"posthog_api_key": "wrong"})
    assert job.exit_code == 1
    for told in (
        "✖ bot-canary is suspended",
        "✖ bot-stable may run 2 instances, and `promises.instances` is 3",
        "/nothing-here does not answer well: HTTP 404",
        "✖ the edge follows the flag release-canary, and slipway.yml says another-flag",
        "✖ posthog-api-key is not accepted",
        "· the flag another-flag of PostHog was not looked at",
        "⚠ environment production has required reviewers",
        "✖ there is no environment staging",
    ):
        assert told in job.log, told
    assert job.outputs["result"] == "refused"
    assert wrong.state() == before


def test_a_token_that_may_not_read_deployments_is_told(calm: Shop) -> None:
    fault = f"{calm.world.url('github')}/_sandbox/fault"
    post(fault, {"status": 403, "path_prefix": f"/repos/{REPOSITORY}/deployments"})
    try:
        job = calm.run("doctor", settings=PLAIN, service="bot")
    finally:
        post(fault, {"clear": True})
    assert job.exit_code == 1
    assert "passed is not known: GitHub" in job.log
    assert "`deployments: read`" in job.log
    assert "Service dashboard" not in job.log, "one service was asked for"
