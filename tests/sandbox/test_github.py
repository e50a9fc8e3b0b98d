"""The GitHub sandbox, driven by PyGithub and checked against GitHub's own schemas."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import github
import httpx
import pytest
from github.Repository import Repository

from sandbox.github.app import GitHub
from sandbox.github.history import History
from sandbox.github.store import Store
from sandbox.serving import running
from slipway.clients.github import GitHub as Forge
from slipway.clients.github_source import GitHubSource
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report
from slipway.report.sticky import MARKER, Section, merge, parse, section
from tests.sandbox.openapi import document, problems

SPEC = "github-openapi-trimmed.json"
_IDENTITY = ("NAME", "EMAIL")
HEAD, MERGE = "a" * 40, "b" * 40


@pytest.fixture
def base_url() -> Iterator[str]:
    with running(GitHub("acme/livestreamsell", "ghs_x", Store()).app()) as url:
        pull = {"number": 7, "title": "Faster <b>bot</b>", "head_sha": HEAD, "merge_sha": MERGE}
        httpx.post(f"{url}/_sandbox/pulls", json=pull, trust_env=False).raise_for_status()
        yield url


def connect(base_url: str, token: str = "ghs_x") -> github.Github:  # noqa: S107 - invented
    auth = github.Auth.Token(token)
    return github.Github(
        base_url=base_url,
        auth=auth,
        retry=None,
        timeout=5,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


@pytest.fixture
def repo(base_url: str) -> Iterator[Repository]:
    with connect(base_url) as client:
        yield client.get_repo("acme/livestreamsell")


@pytest.fixture
def raw(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{base_url}/repos/acme/livestreamsell",
        headers={"Authorization": "Bearer ghs_x"},
        trust_env=False,
    ) as client:
        yield client


def control(base_url: str, body: dict[str, Any]) -> None:
    httpx.post(f"{base_url}/_sandbox/fault", json=body, trust_env=False).raise_for_status()


# Deployments


def test_a_deployment_is_created_with_its_payload_and_found_again(repo: Repository) -> None:
    created = repo.create_deployment(
        ref=MERGE,
        task="deploy",
        auto_merge=False,
        required_contexts=[],
        payload={"digest": "sha256:1"},
        environment="production",
        production_environment=True,
    )
    repo.create_deployment(ref=MERGE, required_contexts=[], environment="staging")
    (found,) = repo.get_deployments(environment="production")
    assert (found.id, found.sha, found.payload) == (created.id, MERGE, {"digest": "sha256:1"})
    assert repo.get_deployment(created.id).production_environment is True


def test_deployments_are_listed_newest_first(repo: Repository) -> None:
    ids = [repo.create_deployment(ref=MERGE, required_contexts=[]).id for _ in range(3)]
    assert [deployment.id for deployment in repo.get_deployments()] == ids[::-1]


def test_the_branch_name_means_the_last_merge(repo: Repository) -> None:
    assert repo.create_deployment(ref="main", required_contexts=[]).sha == MERGE


def test_statuses_are_kept_newest_first_and_target_url_is_the_log_url(repo: Repository) -> None:
    deployment = repo.create_deployment(ref=MERGE, required_contexts=[], environment="staging")
    for state in ("queued", "in_progress", "success"):
        deployment.create_status(state, target_url="http://log.test/1", description=state)
    statuses = list(deployment.get_statuses())
    assert [status.state for status in statuses] == ["success", "in_progress", "queued"]
    assert statuses[0].log_url == "http://log.test/1"


def states(repo: Repository) -> list[str]:
    return [deployment.get_statuses()[0].state for deployment in repo.get_deployments()]


def deployed(repo: Repository, state: str, **options: Any) -> None:
    settings = {"environment": "staging", **options}
    auto_inactive = settings.pop("auto_inactive", True)
    deployment = repo.create_deployment(ref=MERGE, required_contexts=[], **settings)
    deployment.create_status(state, auto_inactive=auto_inactive)


def test_success_makes_earlier_successes_of_the_environment_inactive(repo: Repository) -> None:
    deployed(repo, "success")
    deployed(repo, "failure")
    deployed(repo, "success", environment="other")
    deployed(repo, "success")
    assert states(repo) == ["success", "success", "failure", "inactive"]


@pytest.mark.parametrize(
    "options", [{"production_environment": True}, {"transient_environment": True}]
)
def test_production_and_transient_deployments_are_not_made_inactive(
    repo: Repository, options: dict[str, Any]
) -> None:
    deployed(repo, "success", **options)
    deployed(repo, "success")
    assert states(repo) == ["success", "success"]


def test_nothing_becomes_inactive_without_success_or_when_not_wanted(repo: Repository) -> None:
    deployed(repo, "success")
    deployed(repo, "failure")
    deployed(repo, "success", auto_inactive=False)
    assert states(repo) == ["success", "failure", "success"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/deployments", {}),
        ("/deployments", {"ref": "no-such-branch"}),
        ("/deployments", {"ref": MERGE, "payload": 7}),
        ("/deployments", {"ref": MERGE, "auto_merge": "false"}),
        ("/deployments/{id}/statuses", {}),
        ("/deployments/{id}/statuses", {"state": "bogus"}),
        ("/deployments/{id}/statuses", {"state": "success", "description": "x" * 141}),
        ("/issues/7/comments", {}),
        ("/issues/7/comments", {"body": "x" * 65537}),
    ],
)
def test_invalid_bodies_are_422_and_record_nothing(
    base_url: str, raw: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    created = raw.post("/deployments", json={"ref": MERGE, "required_contexts": []}).json()
    before = httpx.get(f"{base_url}/_sandbox/state", trust_env=False).json()
    answer = raw.post(path.replace("{id}", str(created["id"])), json=body)
    assert answer.status_code == 422
    assert answer.json()["status"] == "422"
    assert httpx.get(f"{base_url}/_sandbox/state", trust_env=False).json() == before


def test_a_description_of_140_characters_is_accepted(repo: Repository) -> None:
    deployment = repo.create_deployment(ref=MERGE, required_contexts=[])
    assert len(deployment.create_status("success", description="x" * 140).description) == 140


def test_failing_contexts_conflict_unless_none_are_required(
    base_url: str, repo: Repository
) -> None:
    control(base_url, {"failing_contexts": ["ci"]})
    some: tuple[dict[str, Any], ...] = ({}, {"required_contexts": ["ci"]})
    for options in some:
        with pytest.raises(github.GithubException) as refused:
            repo.create_deployment(ref=MERGE, auto_merge=False, **options)
        assert refused.value.status == 409
    repo.create_deployment(ref=MERGE, auto_merge=False, required_contexts=[])


def test_a_ref_that_is_behind_conflicts_unless_auto_merge_is_off(
    base_url: str, repo: Repository
) -> None:
    control(base_url, {"behind": True})
    with pytest.raises(github.GithubException) as refused:
        repo.create_deployment(ref=MERGE, required_contexts=[])
    assert refused.value.status == 409
    repo.create_deployment(ref=MERGE, required_contexts=[], auto_merge=False)


# Pull requests and comments


@pytest.mark.parametrize("sha", [HEAD, MERGE])
def test_a_commit_names_its_pull_request(repo: Repository, sha: str) -> None:
    (pull,) = repo.get_commit(sha).get_pulls()
    assert (pull.number, pull.title, pull.merge_commit_sha) == (7, "Faster <b>bot</b>", MERGE)


def test_a_commit_without_a_pull_request_names_none(repo: Repository) -> None:
    assert list(repo.get_commit("c" * 40).get_pulls()) == []


def test_comments_are_created_edited_and_listed_over_pages(repo: Repository) -> None:
    issue = repo.get_pull(7).as_issue()
    for number in range(65):
        issue.create_comment(f"comment {number}")
    listed = list(repo.get_issue(7).get_comments())
    assert [comment.body for comment in listed] == [f"comment {n}" for n in range(65)]
    listed[64].edit("changed")
    assert repo.get_issue(7).get_comment(listed[64].id).body == "changed"
    assert listed[0].user.login == "github-actions[bot]"


def test_a_page_holds_30_and_links_to_the_others(raw: httpx.Client) -> None:
    for _ in range(65):
        raw.post("/issues/7/comments", json={"body": "x"}).raise_for_status()
    first = raw.get("/issues/7/comments")
    assert len(first.json()) == 30
    assert set(first.links) == {"next", "last"}
    second = raw.get(first.links["next"]["url"])
    assert set(second.links) == {"prev", "first", "next", "last"}
    last = raw.get(second.links["next"]["url"])
    assert (len(last.json()), set(last.links)) == (5, {"prev", "first"})
    assert len(raw.get("/issues/7/comments?per_page=1000").json()) == 65


def test_a_person_can_look_and_nothing_is_rendered(base_url: str, repo: Repository) -> None:
    repo.get_issue(7).create_comment("<script>alert(1)</script>")
    deployment = repo.create_deployment(ref=MERGE, required_contexts=[], environment="production")
    deployment.create_status("success", description="100 % <i>served</i>")
    page = httpx.get(f"{base_url}/pull/7", trust_env=False).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "100 % &lt;i&gt;served&lt;/i&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert httpx.get(f"{base_url}/pull/8", trust_env=False).status_code == 404


def test_a_dispatch_is_recorded(base_url: str, repo: Repository) -> None:
    assert repo.create_repository_dispatch("rollback", {"reason": "test"})
    (kept,) = httpx.get(f"{base_url}/_sandbox/state", trust_env=False).json()["dispatches"]
    assert kept["event_type"] == "rollback"


# Several jobs and one comment


def jobs(base_url: str, environments: list[str], *, times: int = 1) -> list[str]:
    """Have every environment's job write its section at the same moment; return the comments."""
    together = threading.Barrier(len(environments))

    def work(environment: str) -> None:
        job = Forge("ghs_x", repository="acme/livestreamsell", base_url=base_url)
        for number in range(times):
            own = told(environment, number)
            together.wait(10)
            job.comment(7, MARKER, partial(merge, own=own), certain=number == times - 1)

    with ThreadPoolExecutor(len(environments)) as pool:
        for done in [pool.submit(work, environment) for environment in environments]:
            done.result(60)
    recorded = httpx.get(f"{base_url}/_sandbox/state", trust_env=False).json()["comments"]
    return [comment["body"] for comment in recorded]


def told(environment: str, number: int) -> Section:
    at = datetime(2026, 1, 1, 12, number, tzinfo=UTC)
    report = Report(verb="deploy-staging", service=environment, actor="ana")
    report.outcome = Outcome(result=Result.DEPLOYED, reason=f"news {number}", finished_at=at)
    return section(report, environment, at)


@pytest.mark.parametrize("environments", [2, 4])
def test_jobs_that_write_at_the_same_time_leave_one_comment_and_lose_no_section(
    base_url: str, environments: int
) -> None:
    names = [f"staging/service-{n}" for n in range(environments)]
    (body,) = jobs(base_url, names, times=2)
    found = parse(body)
    assert sorted(one.key for one in found) == names
    assert all("news 1" in one.body for one in found), "the last news of every job"


# Refusals


def test_a_wrong_token_is_401(base_url: str) -> None:
    with connect(base_url, "ghs_wrong") as client, pytest.raises(github.BadCredentialsException):
        client.get_repo("acme/livestreamsell")


@pytest.mark.parametrize(
    "path",
    ["/repos/acme/other", "/repos/acme/livestreamsell/issues/8/comments", "/nothing"],
)
def test_what_does_not_exist_is_404(base_url: str, path: str) -> None:
    headers = {"Authorization": "token ghs_x"}
    answer = httpx.get(base_url + path, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")


def test_the_repository_is_hidden_from_the_anonymous(base_url: str) -> None:
    answer = httpx.get(f"{base_url}/repos/acme/livestreamsell", trust_env=False)
    assert answer.status_code == 404


def test_a_fault_hits_as_often_as_ordered(base_url: str, raw: httpx.Client) -> None:
    control(base_url, {"status": 502, "times": 1})
    assert [raw.get("/deployments").status_code for _ in range(2)] == [502, 200]


# GitHub's own schemas


def test_answers_have_the_shapes_github_publishes(raw: httpx.Client) -> None:
    document(SPEC)
    deployment = raw.post("/deployments", json={"ref": MERGE, "required_contexts": []})
    statuses = f"/deployments/{deployment.json()['id']}/statuses"
    checks = {
        "full-repository": raw.get(str(raw.base_url).rstrip("/")),
        "deployment": deployment,
        "deployment-status": raw.post(statuses, json={"state": "success"}),
        "issue-comment": raw.post("/issues/7/comments", json={"body": "x"}),
        "validation-error-simple": raw.post("/deployments", json={}),
        "basic-error": raw.get("/deployments/1"),
    }
    known = document(SPEC)["components"]["schemas"]
    for name, answer in checks.items():
        if name in known:
            schema = {"$ref": f"#/components/schemas/{name}"}
            found = answer.json()
            found.pop("errors", None)
            assert problems(SPEC, schema, found) == [], name
    pulls = {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/components/schemas/pull-request-simple"},
    }
    assert problems(SPEC, pulls, raw.get(f"/commits/{MERGE}/pulls").json()) == []


def test_accepted_bodies_are_those_github_accepts() -> None:
    """The bodies the tests above send are valid requests; the refused ones are not."""
    paths = document(SPEC)["paths"]
    create = paths["/repos/{owner}/{repo}/deployments"]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    assert problems(SPEC, schema, {"ref": MERGE, "auto_merge": False, "payload": {"a": 1}}) == []
    assert problems(SPEC, schema, {}) != []
    assert problems(SPEC, schema, {"ref": MERGE, "payload": 7}) != []


# Environments


def test_environments_have_the_rules_they_were_given(base_url: str, repo: Repository) -> None:
    assert {one.name for one in repo.get_environments()} == {"production", "staging"}
    rules = {"production": ["required_reviewers", "branch_policy"], "button": []}
    answer = httpx.post(f"{base_url}/_sandbox/environments", json=rules, trust_env=False)
    answer.raise_for_status()
    found = {
        one.name: [rule.type for rule in one.protection_rules] for one in repo.get_environments()
    }
    assert found == rules


# Comparing commits


def git(path: Path, *arguments: str) -> str:
    nobody = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in _IDENTITY}
    done = subprocess.run(
        ["git", *arguments],
        cwd=path,
        env={"PATH": os.environ["PATH"], "HOME": str(path), **nobody},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(path: Path, files: Mapping[str, str | None]) -> str:
    """Commit files (``None``: deleted) and return the commit."""
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--allow-empty", "--message", "change")
    return git(path, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


@pytest.fixture
def known(clone: Path) -> Iterator[Repository]:
    """The repository on GitHub, with the commits of ``clone``."""
    app = GitHub("acme/livestreamsell", "ghs_x", Store(), History(clone)).app()
    with running(app) as url, connect(url) as client:
        yield client.get_repo("acme/livestreamsell")


def test_commits_are_ahead_identical_behind_and_diverged(clone: Path, known: Repository) -> None:
    first = commit(clone, {"bot/a": "1"})
    second = commit(clone, {"bot/a": "2"})
    third = commit(clone, {"bot/b": "1"})
    git(clone, "checkout", "--quiet", "--detach", first)
    other = commit(clone, {"dashboard/a": "1"})

    ahead = known.compare(first, third)
    assert (ahead.status, ahead.ahead_by, ahead.behind_by) == ("ahead", 2, 0)
    assert [one.sha for one in ahead.commits] == [second, third]
    assert known.compare(first, first).status == "identical"
    behind = known.compare(third, first)
    assert (behind.status, behind.behind_by, behind.files) == ("behind", 2, [])
    diverged = known.compare(third, other)
    assert (diverged.status, diverged.ahead_by, diverged.behind_by) == ("diverged", 1, 2)
    assert [file.filename for file in diverged.files] == ["dashboard/a"], "since they went apart"
    assert diverged.merge_base_commit.sha == first


def test_a_comparison_lists_the_files_and_where_they_came_from(
    clone: Path, known: Repository
) -> None:
    first = commit(clone, {"bot/moved\nname": "long enough to be known again\n" * 9, "gone": "x"})
    git(clone, "mv", "bot/moved\nname", "here")
    head = commit(clone, {"gone": None, "new": "1\n2\n"})
    files = {file.filename: file for file in known.compare(first, head).files}
    assert {name: file.status for name, file in files.items()} == {
        "gone": "removed",
        "here": "renamed",
        "new": "added",
    }
    assert files["here"].previous_filename == "bot/moved\nname"
    assert (files["new"].additions, files["new"].deletions) == (2, 0)


def test_a_branch_was_never_at_a_commit_inside_of_what_it_merged(
    clone: Path, known: Repository
) -> None:
    first = commit(clone, {"bot/a": "1"})
    git(clone, "checkout", "--quiet", "-b", "feature")
    inside = commit(clone, {"bot/a": "evil"})
    commit(clone, {"bot/a": "mended"})
    git(clone, "checkout", "--quiet", "main")
    beside = commit(clone, {"bot/b": "1"})
    git(clone, "merge", "--quiet", "--no-ff", "--message", "merge", "feature")
    merged = git(clone, "rev-parse", "HEAD")
    head = commit(clone, {"bot/b": "2"})
    api = known.url.partition("/repos/")[0]
    source = GitHubSource("ghs_x", repository="acme/livestreamsell", base_url=api)

    assert [source.compare(one, head).status for one in (first, inside)] == ["ahead", "ahead"]
    was = {one: source.was_at(one, head) for one in (first, inside, beside, merged)}
    assert was == {first: True, inside: False, beside: True, merged: True}


def test_a_comparison_lists_300_files_and_every_page_of_commits(
    clone: Path, known: Repository
) -> None:
    first = commit(clone, {})
    made = [commit(clone, {f"many/{number}": "x" for number in range(301)})]
    made += [commit(clone, {}) for _ in range(4)]
    found = known.compare(first, made[-1], comparison_commits_per_page=2)
    assert len(found.files) == 300
    assert [one.sha for one in found.commits] == made


@pytest.mark.parametrize("basehead", ["{first}...{unknown}", "{unknown}...{first}", "--help...x"])
def test_a_comparison_with_an_unknown_commit_is_404(
    clone: Path, known: Repository, basehead: str
) -> None:
    first = commit(clone, {})
    path = f"{known.url}/compare/" + basehead.format(first=first, unknown="c" * 40)
    answer = httpx.get(path, headers={"Authorization": "token ghs_x"}, trust_env=False)
    assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")


def test_histories_that_have_nothing_in_common_are_404(clone: Path, known: Repository) -> None:
    first = commit(clone, {})
    git(clone, "checkout", "--quiet", "--orphan", "other")
    other = commit(clone, {"a": "1"})
    with pytest.raises(github.GithubException, match="No common ancestor"):
        known.compare(first, other).files  # noqa: B018 - reading it asks


def test_the_trimmed_document_has_no_comparison() -> None:
    """Its shape is therefore checked above by what PyGithub reads of it."""
    assert not [path for path in document(SPEC)["paths"] if "/compare/" in path]
