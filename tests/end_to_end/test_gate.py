"""What reaches production: builds of the one workflow, and what happens to every other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.demo.world import IMAGE, REPOSITORY, post
from tests.end_to_end.conftest import Job, Shop, get
from tests.end_to_end.test_release import FAST

STAGED: dict[str, Any] = {**FAST, "policy.require-staging": {"within": "1h"}}
TRY = ".github/workflows/try.yml"


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be changed in production and on staging: deploys at Render, and the share."""

    deploys: Mapping[str, list[str]]
    serving: Mapping[str, set[str]]
    share: float


def seen(shop: Shop) -> Seen:
    world, now = shop.world, shop.state()
    made = {}
    for track in ("bot", "canary", "staging", "dashboard"):
        at = f"{world.url('render')}/v1/services/{world.service_id(track)}/deploys?limit=100"
        made[track] = [item["deploy"]["id"] for item in get(at, world.keys.render)]
    return Seen(made, now["serving"], now["share"])


def order(shop: Shop, what: str, body: Mapping[str, Any]) -> None:
    post(f"{shop.world.url('github')}/_sandbox/{what}", body)


def assert_refused(shop: Shop, job: Job, code: str, before: Seen, number: int) -> None:
    """Refused with the code, in the run and on the pull request; nothing else has happened."""
    assert (job.exit_code, job.outputs["result"]) == (1, "refused"), job.log
    assert job.outputs["reason"].startswith(code), job.outputs["reason"]
    assert any(code in error for error in job.errors)
    # A dot is escaped in markdown.
    assert code in job.summary.replace("\\", "")
    assert code in shop.pull_request(number)
    assert seen(shop) == before


@pytest.fixture
def github_answers(shop: Shop) -> Iterator[None]:
    yield
    order(shop, "fault", {"clear": True})


def test_a_signed_build_that_passed_staging_is_released_and_both_say_what_was_verified(
    shop: Shop,
) -> None:
    image, commit = shop.push_image("signed", {})
    number = shop.world.open_pull_request(commit, "A signed change")
    shop.world.passed_staging(image.partition("@")[2], commit)

    job = shop.run("canary-prod", settings=STAGED, image=image, commit=commit)

    assert (job.exit_code, job.outputs["result"]) == (0, "promoted"), job.log
    page = shop.pull_request(number)
    for told in (job.summary, page):
        assert f"{REPOSITORY}/.github/workflows/build.yml" in told
        assert commit in told
        assert "policy.attestation.workflow" in told
        assert "the certificate" in told
        assert "the history of staging" in told
    assert "| verified | found | by the word of | asked for by |" in job.summary

    back = shop.run("rollback", settings=STAGED, reason="a test", commit=commit)
    assert back.outputs["result"] == "promoted-previous", "nobody asks who signed the way back"


@pytest.mark.parametrize(
    ("verb", "signed", "code"),
    [
        ("canary-prod", None, "proof.none"),
        ("release", {"workflow": TRY}, "identity.workflow"),
        ("canary-prod", {"commit": "e" * 40}, "identity.commit"),
    ],
)
def test_a_build_that_is_not_the_workflows_is_refused_before_anything_is_deployed(
    calm: Shop, verb: str, signed: Mapping[str, Any] | None, code: str
) -> None:
    image, commit = calm.push_image("wrong", {}, signed=signed)
    number = calm.world.open_pull_request(commit, "A change")
    before = seen(calm)  # of staging too, where a release would have brought it first

    job = calm.run(verb, settings=FAST, image=image, commit=commit)

    assert_refused(calm, job, code, before, number)


def test_what_github_itself_says_of_a_release_proves_nothing(calm: Shop) -> None:
    image, commit = calm.push_image("wrong", {}, signed=None)
    number = calm.world.open_pull_request(commit, "A change")
    order(calm, "attestations", calm.world.signing.release(image.partition("sha256:")[2]))
    before = seen(calm)

    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)

    assert_refused(calm, job, "proof.none", before, number)


def test_an_attestation_of_another_image_is_refused(calm: Shop) -> None:
    image, commit = calm.push_image("wrong", {}, signed=None)
    number = calm.world.open_pull_request(commit, "A change")
    other = calm.world.signing.attestation("5" * 64, commit=commit)
    order(calm, "attestations", {**other, "digest": image.partition("@")[2]})
    before = seen(calm)

    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)

    assert_refused(calm, job, "subject.digest", before, number)


def test_where_attestations_cannot_be_had_nothing_is_released(
    calm: Shop, github_answers: None
) -> None:
    image, commit = calm.push_image("signed", {})
    number = calm.world.open_pull_request(commit, "A change")
    path = f"/repos/{REPOSITORY}/attestations"
    order(calm, "fault", {"status": 502, "path_prefix": path})
    before = seen(calm)

    job = calm.run("canary-prod", settings=FAST, image=image, commit=commit)

    assert_refused(calm, job, "proof.source", before, number)


def test_a_direct_deploy_is_gated_as_well(calm: Shop) -> None:
    image, commit = calm.push_image("wrong", {}, signed=None)
    number = calm.world.open_pull_request(commit, "A change that cannot wait")
    before = seen(calm)

    job = calm.run(
        "release", settings=FAST, mode="direct", image=image, commit=commit, reason="in a hurry"
    )

    assert_refused(calm, job, "proof.none", before, number)


def test_a_build_that_has_not_passed_staging_is_refused(calm: Shop) -> None:
    image, commit = calm.push_image("signed", {})
    number = calm.world.open_pull_request(commit, "A change")
    before = seen(calm)

    job = calm.run("canary-prod", settings=STAGED, image=image, commit=commit)
    assert_refused(calm, job, "staging.none", before, number)

    other = "sha256:" + "5" * 64
    calm.world.passed_staging(other, commit)
    again = calm.run("canary-prod", settings=STAGED, image=image, commit=commit)
    assert_refused(calm, again, "staging.none", before, number)


def test_who_must_have_approved_must_have(calm: Shop) -> None:
    image, commit = calm.push_image("signed", {})
    number = calm.world.open_pull_request(commit, "A change")
    calm.world.passed_staging(image.partition("@")[2], commit)
    asked = {"within": "1h", "approvals": {"from": ["bo", "eva"], "count": 1}}
    settings = {**FAST, "policy.require-staging": asked}
    before = seen(calm)

    refused = calm.run("canary-prod", settings=settings, image=image, commit=commit)
    assert_refused(calm, refused, "staging.approval", before, number)

    said = [{"login": "eva", "state": "APPROVED"}, {"login": "eva", "state": "CHANGES_REQUESTED"}]
    order(calm, "reviews", {"number": number, "reviews": said})
    changed = calm.run("canary-prod", settings=settings, image=image, commit=commit)
    assert_refused(calm, changed, "staging.approval", before, number)

    order(calm, "reviews", {"number": number, "reviews": [{"login": "bo", "state": "APPROVED"}]})
    verified = calm.run("verify-artifact", settings=settings, image=image, commit=commit)
    assert verified.exit_code == 0, verified.log


@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("signatures", {"verified": False, "reason": "unsigned"}, "commit.unsigned"),
        ("checks", {"runs": []}, "commit.check-missing"),
        ("checks", {"runs": [{"name": "tests", "app": 99}]}, "commit.check-app"),
        ("checks", {"runs": [{"name": "tests", "conclusion": "failure"}]}, "commit.check-failed"),
    ],
)
def test_a_commit_is_held_against_what_github_says_of_it(
    calm: Shop, what: str, body: Mapping[str, Any], code: str
) -> None:
    _, commit = calm.push_image("signed", {})
    order(calm, what, {"sha": commit, **body})

    job = calm.run("verify-artifact", service="dashboard", commit=commit)

    assert job.exit_code != 0
    assert any(code in error for error in job.errors), job.log


def test_a_commit_passes_that_is_signed_checked_and_on_the_protected_branch(calm: Shop) -> None:
    _, commit = calm.push_image("signed", {})

    passed = calm.run("verify-artifact", service="dashboard", commit=commit)
    assert passed.exit_code == 0, passed.log
    assert "policy.commit" in passed.summary

    order(calm, "branches", {"name": "main", "protected": False})
    try:
        refused = calm.run("verify-artifact", service="dashboard", commit=commit)
    finally:
        order(calm, "branches", {"name": "main", "protected": True})
    assert any("commit.branch" in error for error in refused.errors), refused.log


def test_a_trusted_root_that_was_changed_is_refused(calm: Shop) -> None:
    image, commit = calm.push_image("signed", {})
    number = calm.world.open_pull_request(commit, "A change")
    before = seen(calm)
    settings = {**FAST, "policy.attestation.trusted-root.sha256": "0" * 64}

    job = calm.run("canary-prod", settings=settings, image=image, commit=commit)

    assert_refused(calm, job, "root.pin", before, number)


def test_verify_artifact_names_what_may_be_deployed(calm: Shop) -> None:
    image, commit = calm.push_image("signed", {})

    job = calm.run("verify-artifact", image=image, commit=commit)

    assert job.exit_code == 0, job.log
    assert image in json.dumps(dict(job.outputs))
    assert image.startswith(IMAGE)
