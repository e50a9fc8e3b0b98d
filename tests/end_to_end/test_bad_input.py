"""Mistakes and bad luck, against the whole sandbox: one annotation, and nothing is left changed."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest

from tests.end_to_end.conftest import Job, Shop

FAST: dict[str, Any] = {
    "services.bot.strategy": {
        "steps": [{"share": 5, "for": "6s"}],
        "bake": {"share": 95, "for": "3s"},
        "judge": {"every": "500ms"},
        "deploy-deadline": "6s",
    },
    "services.bot.health.deadline": "3s",
}


def assert_one_error(job: Job, exit_code: int, title: str, *said: str) -> None:
    assert job.exit_code == exit_code, job.log
    assert len(job.errors) == 1, job.errors
    assert job.errors[0].startswith(title), job.errors
    for text in said:
        assert text in job.errors[0]
    assert job.outputs["result"] in ("refused", "rolled-back", "aborted", "failed")
    assert job.outputs["reason"]


@pytest.mark.parametrize(
    ("key", "system", "setting"),
    [
        ("render_api_key", "Render", "render-api-key"),
        ("posthog_api_key", "PostHog", "posthog-api-key"),
        ("edge_token", "edge", "edge-token"),
    ],
)
def test_a_wrong_key_names_the_key(calm: Shop, key: str, system: str, setting: str) -> None:
    image, commit = calm.push_image("good", {})
    job = calm.run("canary-prod", image=image, commit=commit, keys={key: "wrong"})
    assert_one_error(job, 3, "Key not accepted", system, setting)


@pytest.mark.parametrize("track", ["bot", "canary"])
def test_a_suspended_service_is_refused(calm: Shop, track: str) -> None:
    image, commit = calm.push_image("good", {})
    service = calm.world.service_id(track)
    set_suspended(calm, service, "suspend")
    try:
        job = calm.run("canary-prod", image=image, commit=commit)
    finally:
        set_suspended(calm, service, "resume")
    assert_one_error(job, 1, "Release refused", "suspended", "Resume it")


def set_suspended(shop: Shop, service: str, verb: str) -> None:
    request = urllib.request.Request(
        f"{shop.world.url('render')}/v1/services/{service}/{verb}",
        method="POST",
        headers={"Authorization": f"Bearer {shop.world.keys.render}"},
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def test_a_build_that_never_becomes_healthy_is_never_seen_by_a_seller(calm: Shop) -> None:
    image, commit = calm.push_image("sick", {"unhealthy": True})
    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)
    assert_one_error(job, 1, "Rolled back", "after 6 s", "cancelled")
    assert job.outputs["result"] == "rolled-back"


def test_a_staging_deploy_that_never_becomes_healthy_fails_and_is_cancelled(calm: Shop) -> None:
    image, commit = calm.push_image("sick", {"unhealthy": True})
    job = calm.run("deploy-staging", settings=FAST, image=image, commit=commit)
    assert_one_error(job, 1, "Deploy failed", "after 6 s", "cancelled")


def test_a_staging_that_is_frozen_for_a_review_is_left_alone(calm: Shop) -> None:
    image, commit = calm.push_image("good", {})
    frozen = {"services.bot.staging.frozen": "Meta's App Review until Friday"}
    job = calm.run("deploy-staging", settings=frozen, image=image, commit=commit)
    assert_one_error(job, 1, "Release refused", "Meta's App Review until Friday", "`frozen:`")


def test_an_unknown_status_is_not_a_success(calm: Shop) -> None:
    image, commit = calm.push_image("good", {})
    calm.fault(kind="status", value="warming_up")
    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)
    assert_one_error(job, 4, "Release aborted", "'warming_up'")


def test_render_answering_html_is_said_with_its_status(calm: Shop) -> None:
    image, commit = calm.push_image("good", {})
    calm.fault(kind="http", path_prefix="/v1/services", status=200, body="<h1>Maintenance</h1>")
    job = calm.run("canary-prod", image=image, commit=commit)
    assert_one_error(job, 3, "Outside service failed", "Render", "text/html")


def test_a_canary_without_an_edge_says_what_to_set_up(calm: Shop) -> None:
    image, commit = calm.push_image("good", {})
    job = calm.run("canary-prod", settings={"services.bot.edge": None}, image=image, commit=commit)
    assert_one_error(job, 2, "Wrong input", "edge: {url", "not set up")


def test_a_digest_nobody_pushed_is_a_failed_deploy(calm: Shop) -> None:
    _, commit = calm.push_image("good", {})
    image = f"registry.sandbox/livestreamsell/bot@sha256:{'0' * 64}"
    calm.world.attest("0" * 64, commit=commit)
    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)
    assert_one_error(job, 1, "Rolled back", "ended as")


def test_without_an_answer_of_githubs_nothing_is_changed(calm: Shop) -> None:
    """Whether there is a build to go back to stands there."""
    image, commit = calm.push_image("good", {})
    job = calm.run("canary-prod", settings=FAST, github=False, image=image, commit=commit)
    assert_one_error(job, 3, "Outside service unreachable", "GitHub", "read the deployments")
    assert job.outputs["result"] == "refused"


def test_a_commit_github_does_not_know_is_refused(calm: Shop) -> None:
    image, _ = calm.push_image("good", {})
    job = calm.run("canary-prod", settings=FAST, image=image, commit="0" * 40)
    assert_one_error(job, 1, "Release refused", "descends from", "Push both commits")


def test_an_image_of_another_name_is_refused(calm: Shop) -> None:
    image = f"registry.sandbox/livestreamsell/other@sha256:{'0' * 64}"
    job = calm.run("canary-prod", image=image)
    assert_one_error(job, 1, "Release refused", "livestreamsell/other")


def test_an_image_that_holds_another_commit_is_found_out(calm: Shop) -> None:
    image, _ = calm.push_image("good", {}, signed=None)
    _, other = calm.push_image("good", {})
    calm.world.attest(image.rpartition(":")[2], commit=other)  # by a workflow that is mistaken
    job = calm.run("canary-prod", settings=FAST, image=image, commit=other)
    assert_one_error(job, 1, "Rolled back", "did not answer", other)


def test_a_rollback_to_a_build_there_never_was_is_refused(calm: Shop) -> None:
    job = calm.run("rollback", reason="a test", target=f"sha256:{'9' * 64}")
    assert_one_error(job, 1, "Release refused", "is not among the last")


def test_a_build_with_errors_is_rolled_back_and_told_on_the_pull_request(calm: Shop) -> None:
    image, commit = calm.push_image("bad", {"error_rate": 0.6})
    number = calm.world.open_pull_request(commit, "A change")
    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)
    assert_one_error(job, 1, "Rolled back: bot", "times as often as the build before")
    assert float(job.outputs["seconds-to-zero"]) < 2
    assert "rolled back, everybody is on the build before" in job.summary
    assert "rolled back, everybody is on the build before" in calm.pull_request(number)
