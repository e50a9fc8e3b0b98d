"""What a gate asks the GitHub sandbox: attestations, signatures, branches, checks, approvals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cramjam
import github
import httpx
import pytest
from github.Repository import Repository

from sandbox.github.answers import OWNER_ID, REPOSITORY_ID
from sandbox.github.app import GitHub
from sandbox.github.store import Store
from sandbox.serving import running
from sandbox.sigstore import Claims, Sigstore, provenance
from tests.sandbox.openapi import document, problems

SPEC = "github-openapi-trimmed.json"
HEAD, MERGE = "a" * 40, "b" * 40
DIGEST = "sha256:" + "5" * 64
NAME = "acme/livestreamsell"


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    claims = Claims()
    return Sigstore().attest(provenance(DIGEST, claims), claims)


@pytest.fixture
def base_url() -> Iterator[str]:
    with running(GitHub(NAME, "ghs_x", Store()).app()) as url:
        order(url, "pulls", {"number": 7, "title": "x", "head_sha": HEAD, "merge_sha": MERGE})
        yield url


@pytest.fixture
def raw(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{base_url}/repos/{NAME}",
        headers={"Authorization": "Bearer ghs_x"},
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def repo(base_url: str) -> Iterator[Repository]:
    auth = github.Auth.Token("ghs_x")
    with github.Github(base_url=base_url, auth=auth, retry=None, timeout=5) as client:
        yield client.get_repo(NAME)


def order(base_url: str, what: str, body: dict[str, Any]) -> None:
    httpx.post(f"{base_url}/_sandbox/{what}", json=body, trust_env=False).raise_for_status()


# Attestations


def test_a_digest_that_nobody_attested_is_404(raw: httpx.Client) -> None:
    assert raw.get(f"/attestations/{DIGEST}").status_code == 404


def test_the_bundle_lies_elsewhere_as_raw_snappy(
    base_url: str, raw: httpx.Client, bundle: dict[str, Any]
) -> None:
    order(base_url, "attestations", {"digest": DIGEST, "bundle": bundle})
    (listed,) = raw.get(f"/attestations/{DIGEST}").json()["attestations"]

    assert (listed["bundle"], listed["initiator"]) == (None, "user")
    assert not listed["bundle_url"].startswith(f"{base_url}/repos/")
    blob = httpx.get(listed["bundle_url"], trust_env=False)
    unpacked = httpx.Response(200, content=bytes(cramjam.snappy.decompress_raw(blob.content)))
    assert unpacked.json() == bundle


def test_whoever_shows_a_token_where_bundles_lie_is_refused(
    base_url: str, raw: httpx.Client, bundle: dict[str, Any]
) -> None:
    order(base_url, "attestations", {"digest": DIGEST, "bundle": bundle})
    (listed,) = raw.get(f"/attestations/{DIGEST}").json()["attestations"]
    url = listed["bundle_url"]

    shown = httpx.get(url, headers={"Authorization": "Bearer ghs_x"}, trust_env=False)
    unsigned = httpx.get(url.partition("?")[0], trust_env=False)

    assert (shown.status_code, unsigned.status_code) == (400, 403)


def test_pages_are_linked_by_cursors(
    base_url: str, raw: httpx.Client, bundle: dict[str, Any]
) -> None:
    for _ in range(5):
        order(base_url, "attestations", {"digest": DIGEST, "bundle": bundle, "inline": True})
    found, url = [], f"/attestations/{DIGEST}?per_page=2"
    while url:
        answer = raw.get(url)
        found.append(len(answer.json()["attestations"]))
        last, url = answer, answer.links.get("next", {}).get("url", "")

    assert found == [2, 2, 1]
    assert "after=" in str(last.url)
    before = raw.get(last.links["prev"]["url"])
    assert len(before.json()["attestations"]) == 2


def test_attestations_are_told_apart_by_type(base_url: str, raw: httpx.Client) -> None:
    claims, instance = Claims(), Sigstore()
    released = provenance(
        DIGEST, claims, predicateType="https://in-toto.io/attestation/release/v0.2"
    )
    for statement, initiator in ((provenance(DIGEST, claims), "user"), (released, "github")):
        body = {"digest": DIGEST, "bundle": instance.attest(statement, claims)}
        order(base_url, "attestations", {**body, "initiator": initiator})

    def initiators(kind: str) -> list[str]:
        listed = raw.get(f"/attestations/{DIGEST}?predicate_type={kind}").json()
        return [one["initiator"] for one in listed["attestations"]]

    assert initiators("") == ["github", "user"]
    assert initiators("provenance") == initiators("https://slsa.dev/provenance/v1") == ["user"]
    assert initiators("release") == ["github"]


def test_a_blob_can_be_anything(base_url: str, raw: httpx.Client, bundle: dict[str, Any]) -> None:
    order(base_url, "attestations", {"digest": DIGEST, "bundle": bundle, "blob": "AAAA"})
    (listed,) = raw.get(f"/attestations/{DIGEST}").json()["attestations"]

    assert httpx.get(listed["bundle_url"], trust_env=False).content == b"\0\0\0"


# Commits


def test_a_commit_is_signed_by_the_merge_button_unless_ordered(
    base_url: str, repo: Repository
) -> None:
    merged = repo.get_commit(MERGE)
    said = merged.commit.verification
    assert (said.verified, said.reason, merged.committer.login) == (True, "valid", "web-flow")

    unsigned = {"verified": False, "reason": "unsigned", "committer": None}
    order(base_url, "signatures", {"sha": MERGE, **unsigned})

    again = repo.get_commit(MERGE)
    assert (again.commit.verification.verified, again.commit.verification.reason) == (
        False,
        "unsigned",
    )
    assert not again.commit.verification.signature
    assert not again.committer


def test_the_default_branch_is_protected_unless_ordered(base_url: str, repo: Repository) -> None:
    assert (repo.get_branch("main").protected, repo.get_branch("main").commit.sha) == (True, MERGE)
    order(base_url, "branches", {"name": "release/1", "protected": False})
    assert repo.get_branch("release/1").protected is False
    with pytest.raises(github.UnknownObjectException):
        repo.get_branch("other")


def test_the_tests_have_passed_unless_ordered(base_url: str, repo: Repository) -> None:
    (run,) = repo.get_commit(MERGE).get_check_runs()
    assert (run.name, run.app.id, run.conclusion) == ("tests", 15368, "success")

    runs = [
        {"name": "tests", "conclusion": "failure"},
        {"name": "tests", "status": "in_progress"},
        {"name": "tests", "app": 99},
    ]
    order(base_url, "checks", {"sha": MERGE, "runs": runs})

    latest = [(r.app.id, r.status, r.conclusion) for r in repo.get_commit(MERGE).get_check_runs()]
    assert latest == [(99, "completed", "success"), (15368, "in_progress", None)]
    assert repo.get_commit(MERGE).get_check_runs(filter="all").totalCount == 3
    assert repo.get_commit(MERGE).get_check_runs(check_name="other").totalCount == 0


def test_who_approved_is_whoever_was_ordered(
    base_url: str, repo: Repository, raw: httpx.Client
) -> None:
    assert list(repo.get_pull(7).get_reviews()) == []
    assert [(c.sha, c.author.login) for c in repo.get_pull(7).get_commits()] == [
        (HEAD, "developer")
    ]
    reviews = [{"login": "bo", "state": "APPROVED"}, {"login": "eva", "state": "COMMENTED"}]
    order(base_url, "reviews", {"number": 7, "reviews": reviews})
    assert [(r.user.login, r.state) for r in repo.get_pull(7).get_reviews()] == [
        ("bo", "APPROVED"),
        ("eva", "COMMENTED"),
    ]

    assert raw.get("/actions/runs/12/approvals").json() == []
    said = {"login": "bo", "state": "approved", "environment": "production"}
    order(base_url, "approvals", {"run": 12, "approvals": [said]})
    (approved,) = raw.get("/actions/runs/12/approvals").json()
    assert (approved["user"]["login"], approved["state"]) == ("bo", "approved")
    assert approved["environments"][0]["name"] == "production"


def test_the_repository_has_the_numbers_of_the_examples_policy(repo: Repository) -> None:
    assert (repo.id, repo.owner.id) == (REPOSITORY_ID, OWNER_ID)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("attestations", {"digest": DIGEST}),
        ("signatures", {"verified": True}),
        ("checks", {"sha": MERGE, "runs": [{"app": 1}]}),
        ("reviews", {"number": "x", "reviews": []}),
    ],
)
def test_an_order_that_says_too_little_is_refused(
    base_url: str, what: str, body: dict[str, Any]
) -> None:
    answer = httpx.post(f"{base_url}/_sandbox/{what}", json=body, trust_env=False)
    assert answer.status_code == 400


def test_answers_have_the_shapes_github_publishes(
    base_url: str, raw: httpx.Client, bundle: dict[str, Any]
) -> None:
    paths = document(SPEC)["paths"]
    # What GitHub answers since 2026, `bundle: null`, is in its own captured answers alone.
    order(base_url, "attestations", {"digest": DIGEST, "bundle": bundle, "inline": True})
    asked = {
        "/repos/{owner}/{repo}/attestations/{subject_digest}": f"/attestations/{DIGEST}",
        "/repos/{owner}/{repo}/commits/{ref}/check-runs": f"/commits/{MERGE}/check-runs",
    }
    for path, url in asked.items():
        schema = paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert problems(SPEC, schema, raw.get(url).json()) == [], path
