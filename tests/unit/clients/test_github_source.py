"""What GitHub says of a commit is read strictly: what is not as documented is no yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import responses
from responses import matchers

from slipway.clients.github_source import GitHubSource
from slipway.errors import NotFound, OutsideError, Unauthorized, Unreachable
from slipway.ports import Branch, CheckRun, Signature
from tests.unit.clients.github_answers import COMMIT, HEAD, OTHER, REPO, WAITS, commit, source

DENIED = {"message": "Resource not accessible by integration"}
Ask = Callable[[GitHubSource], object]


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


# The signature


def test_the_signature_is_what_github_verified(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}", json=commit())
    assert source().signature(COMMIT) == Signature(
        verified=True, reason="valid", committer="web-flow"
    )
    assert mock.calls[0].request.headers["Authorization"] == "Bearer ghs_s3cret"


@pytest.mark.parametrize("nobody", [None, {}])
def test_an_address_of_nobody_is_no_committer(mock: responses.RequestsMock, nobody: Any) -> None:
    said = commit("no_user", verified=False) | {"committer": nobody}
    mock.get(f"{REPO}/commits/{COMMIT}", json=said)
    assert source().signature(COMMIT) == Signature(verified=False, reason="no_user", committer=None)


@pytest.mark.parametrize("passing", ["gpgverify_error", "gpgverify_unavailable"])
def test_a_signature_that_could_not_be_looked_at_is_asked_for_again(
    mock: responses.RequestsMock, passing: str
) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}", json=commit(passing, verified=False))
    mock.get(f"{REPO}/commits/{COMMIT}", json=commit())
    assert source().signature(COMMIT).reason == "valid"
    assert WAITS == [2.0]


def test_and_after_its_attempts_the_reason_stands(mock: responses.RequestsMock) -> None:
    said = mock.get(
        f"{REPO}/commits/{COMMIT}", json=commit("gpgverify_unavailable", verified=False)
    )
    assert source().signature(COMMIT).reason == "gpgverify_unavailable"
    assert (said.call_count, WAITS) == (3, [2.0, 4.0])


@pytest.mark.parametrize(
    "said",
    [
        commit(sha=OTHER),
        commit(verified="true"),
        commit(verified=1),
        commit(verified=None),
        commit(""),
        commit() | {"commit": {"message": "m"}},
        commit() | {"committer": {"name": "ana"}},
        {"message": "ok"},
        [],
    ],
)
def test_an_answer_that_is_not_as_documented_is_no_signature(
    mock: responses.RequestsMock, said: Any
) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}", json=said)
    with pytest.raises(OutsideError):
        source().signature(COMMIT)


def test_all_that_is_asked_of_one_build_has_a_deadline(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}", json=commit())
    ticks = iter([0.0])
    slow = GitHubSource(
        "ghs_s3cret",
        repository="acme/bot",
        base_url="https://api.github.com",
        clock=lambda: next(ticks, 91.0),
    )
    assert slow.signature(COMMIT).verified
    with pytest.raises(Unreachable, match="longer than 90 s"):
        slow.check_runs(COMMIT)
    assert len(mock.calls) == 1


# The branch


def branch(
    mock: responses.RequestsMock, *, protected: Any, name: str = "main", **more: Any
) -> None:
    said = {"name": name, "commit": {"sha": HEAD}, "protected": protected, **more}
    mock.get(f"{REPO}/branches/main", json=said)


def rules(mock: responses.RequestsMock, *types: str, status: int = 200) -> None:
    said: Any = [{"type": kind, "ruleset_id": 1} for kind in types] if status == 200 else DENIED
    mock.get(f"{REPO}/rules/branches/main", json=said, status=status)


def test_classic_protection_protects(mock: responses.RequestsMock) -> None:
    branch(mock, protected=True, protection={"enabled": True})
    assert source().branch("main") == Branch(head=HEAD, protected=True)


@pytest.mark.parametrize(
    "kind", ["pull_request", "required_status_checks", "merge_queue", "workflows", "update"]
)
def test_a_ruleset_protects_with_a_rule_that_keeps_a_push_out(
    mock: responses.RequestsMock, kind: str
) -> None:
    branch(mock, protected=True, protection={"enabled": False})
    rules(mock, "deletion", kind)
    assert source().branch("main").protected


@pytest.mark.parametrize("protection", [{}, {"protection": {"enabled": False}}])
@pytest.mark.parametrize(
    "kinds", [(), ("non_fast_forward", "deletion"), ("required_signatures",), ("new_rule",)]
)
def test_a_ruleset_without_such_a_rule_protects_nothing(
    mock: responses.RequestsMock, kinds: tuple[str, ...], protection: Any
) -> None:
    branch(mock, protected=True, **protection)
    rules(mock, *kinds)
    assert not source().branch("main").protected


def test_a_branch_without_protection_is_asked_for_rules_all_the_same(
    mock: responses.RequestsMock,
) -> None:
    branch(mock, protected=False, protection={"enabled": True})
    rules(mock, "pull_request")
    assert source().branch("main").protected


@pytest.mark.parametrize("status", [403, 404])
def test_a_plan_without_rulesets_protects_nothing(
    mock: responses.RequestsMock, status: int
) -> None:
    branch(mock, protected=False)
    rules(mock, status=status)
    assert not source().branch("main").protected


def test_rules_that_cannot_be_read_of_a_protected_branch_are_an_error(
    mock: responses.RequestsMock,
) -> None:
    branch(mock, protected=True)
    rules(mock, status=403)
    with pytest.raises(Unauthorized, match="403"):
        source().branch("main")


def test_a_branch_of_another_name_is_not_taken(mock: responses.RequestsMock) -> None:
    branch(mock, protected=True, protection={"enabled": True}, name="master")
    with pytest.raises(OutsideError, match="another branch"):
        source().branch("main")


def test_a_name_with_a_slash_is_one_part_of_the_address(mock: responses.RequestsMock) -> None:
    said = {
        "name": "release/1",
        "commit": {"sha": HEAD},
        "protected": True,
        "protection": {"enabled": True},
    }
    mock.get(f"{REPO}/branches/release%2F1", json=said)
    assert source().branch("release/1").protected


def test_commits_are_compared(mock: responses.RequestsMock) -> None:
    said = {
        "status": "ahead",
        "total_commits": 2,
        "commits": [{"sha": HEAD, "commit": {"message": "one"}}],
        "files": [{"filename": "b.py", "previous_filename": "a.py"}, {"filename": "c.py"}],
    }
    mock.get(f"{REPO}/compare/{COMMIT}...{HEAD}", json=said)
    found = source().compare(COMMIT, HEAD)
    assert (found.status, found.commits, found.more) == ("ahead", (HEAD,), True)
    assert (found.files, found.messages) == (("a.py", "b.py", "c.py"), ("one",))


def between(mock: responses.RequestsMock, *pages: Any) -> None:
    """Commits that the branch has since, oldest first: each with its parents."""
    for number, page in enumerate(pages, 1):
        query = {"per_page": "100", "page": str(number)}
        mock.get(
            f"{REPO}/compare/{COMMIT}...{HEAD}",
            json={"status": "ahead", "commits": page},
            match=[matchers.query_param_matcher(query)],
        )


def made(sha: str, *parents: str) -> Any:
    return {"sha": sha, "parents": [{"sha": one} for one in parents]}


INSIDE, MERGED = "d" * 40, "e" * 40


@pytest.mark.parametrize(
    ("commits", "was"),
    [
        ([made(HEAD, COMMIT)], True),
        ([made(OTHER, COMMIT), made(HEAD, OTHER)], True),
        ([made(INSIDE, COMMIT), made(HEAD, COMMIT, INSIDE)], True),
        # It was merged with what came after it: the branch went from before it to the merge.
        ([made(HEAD, OTHER, COMMIT)], False),
        ([made(INSIDE, COMMIT), made(HEAD, OTHER, INSIDE)], False),
        ([made(INSIDE, COMMIT), made(MERGED, OTHER, INSIDE), made(HEAD, MERGED)], False),
        ([made(HEAD)], False),
        ([], False),
        ([made(OTHER, COMMIT)], False),
        ([made(HEAD, OTHER), made(OTHER, HEAD)], False),
    ],
)
def test_a_branch_was_at_what_its_first_parents_lead_to(
    mock: responses.RequestsMock, commits: Any, was: bool
) -> None:
    between(mock, commits)
    assert source().was_at(COMMIT, HEAD) is was


def test_all_pages_of_what_came_since_are_read(mock: responses.RequestsMock) -> None:
    line = [COMMIT, *(f"{number:040x}" for number in range(149)), HEAD]
    since = [made(new, old) for old, new in pairwise(line)]
    between(mock, since[:100], since[100:])
    assert source().was_at(COMMIT, HEAD)


def test_where_not_all_that_came_since_is_read_nothing_is_decided(
    mock: responses.RequestsMock,
) -> None:
    between(mock, *[[made(OTHER, COMMIT)] * 100] * 10)
    with pytest.raises(OutsideError, match="more than 10 pages"):
        source().was_at(COMMIT, HEAD)


@pytest.mark.parametrize("said", [{}, {"sha": HEAD}, {"sha": HEAD, "parents": [{}]}, 1])
def test_parents_that_are_not_as_documented_lead_nowhere(
    mock: responses.RequestsMock, said: Any
) -> None:
    between(mock, [said])
    with pytest.raises(OutsideError):
        source().was_at(COMMIT, HEAD)


# Checks


def run(name: str = "test", **more: Any) -> Any:
    return {
        "id": 1,
        "name": name,
        "head_sha": COMMIT,
        "app": {"id": 15368, "slug": "github-actions"},
        "status": "completed",
        "conclusion": "success",
        **more,
    }


def checks(mock: responses.RequestsMock, runs: Any, page: int = 1) -> None:
    query = {"filter": "latest", "per_page": "100", "page": str(page)}
    mock.get(
        f"{REPO}/commits/{COMMIT}/check-runs",
        json={"total_count": 0, "check_runs": runs},
        match=[matchers.query_param_matcher(query)],
    )


def test_the_newest_checks_of_all_pages_are_read(mock: responses.RequestsMock) -> None:
    checks(mock, [run()] * 100)
    checks(mock, [run("lint", app=None, status="in_progress", conclusion=None)], page=2)
    found = source().check_runs(COMMIT)
    assert len(found) == 101
    assert found[0] == CheckRun(name="test", app=15368, status="completed", conclusion="success")
    assert found[100] == CheckRun(name="lint", app=None, status="in_progress", conclusion=None)


@pytest.mark.parametrize(
    "runs", [None, {}, [1], [run(head_sha=OTHER)], [run(app={})], [run(status=None)], [run("")]]
)
def test_checks_that_are_not_as_documented_are_none(
    mock: responses.RequestsMock, runs: Any
) -> None:
    checks(mock, runs)
    with pytest.raises(OutsideError):
        source().check_runs(COMMIT)


def test_more_pages_than_are_read_are_an_error(mock: responses.RequestsMock) -> None:
    for page in range(1, 11):
        checks(mock, [run()] * 100, page)
    with pytest.raises(OutsideError, match="more than 10 pages"):
        source().check_runs(COMMIT)


# What goes wrong


@pytest.mark.parametrize(
    ("ask", "permission"),
    [
        (lambda s: s.signature(COMMIT), "contents: read"),
        (lambda s: s.branch("main"), "contents: read"),
        (lambda s: s.compare(COMMIT, HEAD), "contents: read"),
        (lambda s: s.check_runs(COMMIT), "checks: read"),
        (lambda s: s.approved(COMMIT, ""), "pull-requests: read"),
    ],
)
def test_a_permission_that_is_missing_is_named(
    mock: responses.RequestsMock, ask: Ask, permission: str
) -> None:
    mock.get(url=f"{REPO}/branches/main", status=403, json=DENIED)
    mock.assert_all_requests_are_fired = False
    for path in ("commits/" + COMMIT, f"compare/{COMMIT}...{HEAD}"):
        mock.get(f"{REPO}/{path}", status=403, json=DENIED)
    for path in ("check-runs", "pulls"):
        mock.get(f"{REPO}/commits/{COMMIT}/{path}", status=403, json=DENIED)
    with pytest.raises(Unauthorized) as caught:
        ask(source())
    assert f"`{permission}`" in caught.value.remedy
    assert "s3cret" not in str(caught.value)


def test_what_is_not_there_says_so(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/branches/main", status=404, json={"message": "Branch not found"})
    with pytest.raises(NotFound, match="Branch not found") as caught:
        source().branch("main")
    assert "`contents: read`" in caught.value.remedy
