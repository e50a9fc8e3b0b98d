"""What GitHub says of a commit is read strictly: what is not as documented is no yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from responses import matchers

from slipway.clients.fields import Fields
from slipway.clients.github_source import GitHubSource, _approvals
from slipway.clients.retries import Patience
from slipway.errors import NotFound, OutsideError, Unauthorized
from slipway.ports import Approval, Approved, Branch, CheckRun, Signature

REPO = "https://api.github.com/repos/acme/bot"
COMMIT, HEAD, OTHER = "a" * 40, "b" * 40, "c" * 40
DENIED = {"message": "Resource not accessible by integration"}
Ask = Callable[[GitHubSource], object]
WAITS: list[float] = []


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


def source() -> GitHubSource:
    WAITS.clear()
    return GitHubSource(
        "ghs_s3cret",
        repository="acme/bot",
        base_url="https://api.github.com",
        patience=Patience(attempts=3, backoff=0, jitter=0),
        sleep=WAITS.append,
    )


def account(login: str | None) -> Any:
    return None if login is None else {"login": login, "id": 1}


def commit(
    reason: str = "valid", *, sha: str = COMMIT, verified: Any = True, author: str | None = "ana"
) -> Any:
    said = {"verified": verified, "reason": reason, "signature": "x", "payload": "y"}
    committer = account("web-flow")
    return {
        "sha": sha,
        "commit": {"message": "m", "verification": said},
        "author": account(author),
        "committer": committer,
    }


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


# Approvals


def pull(number: int = 12, **more: Any) -> Any:
    return {
        "number": number,
        "state": "closed",
        "merged_at": "2026-01-02T00:00:00Z",
        "merge_commit_sha": OTHER,
        "user": account("ana"),
        "head": {"sha": HEAD},
        **more,
    }


def review(
    login: str | None, state: str = "APPROVED", *, of: str | None = HEAD, at: int = 1
) -> Any:
    return {
        "user": account(login),
        "state": state,
        "commit_id": of,
        "submitted_at": f"2026-01-01T00:00:{at:02}Z",
    }


def brought(
    mock: responses.RequestsMock, *reviews: Any, commits: Any = (), pulls: Any = ()
) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}/pulls", json=list(pulls or [pull()]))
    mock.get(f"{REPO}/pulls/12/commits", json=list(commits))
    mock.get(f"{REPO}/pulls/12/reviews", json=list(reviews))


def who(found: Approved) -> list[str]:
    return [one.login for one in found.approvals]


def test_who_approved_the_pull_request_and_who_wrote_it(mock: responses.RequestsMock) -> None:
    written = [commit(author="bob"), commit(author=None)]
    brought(mock, review("cid"), review("eve", at=2), commits=written)
    at = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    found = source().approved(COMMIT, "")
    assert (found.pull_request, found.authors) == (12, ("ana", "bob", "web-flow"))
    assert found.approvals[0] == Approval(login="cid", where="pull request 12", at=at)
    assert who(found) == ["cid", "eve"]


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        (["APPROVED"], True),
        (["APPROVED", "COMMENTED"], True),
        (["APPROVED", "PENDING"], True),
        (["CHANGES_REQUESTED", "APPROVED"], True),
        (["APPROVED", "CHANGES_REQUESTED"], False),
        (["APPROVED", "CHANGES_REQUESTED", "COMMENTED"], False),
        (["DISMISSED"], False),
        (["APPROVED", "DISMISSED"], False),
        (["COMMENTED"], False),
        (["NEW_STATE"], False),
        ([], False),
    ],
)
def test_the_newest_word_of_a_person_counts(
    mock: responses.RequestsMock, states: list[str], counts: bool
) -> None:
    brought(mock, *(review("cid", state, at=n) for n, state in enumerate(states)))
    assert who(source().approved(COMMIT, "")) == ["cid"] * counts


def test_an_approval_of_something_else_than_was_merged_does_not_count(
    mock: responses.RequestsMock,
) -> None:
    brought(mock, review("cid", of=OTHER), review("eve", of=None), review("dan"), review(None))
    assert who(source().approved(COMMIT, "")) == ["dan"]


def test_the_pull_request_is_the_merged_one_that_made_the_commit(
    mock: responses.RequestsMock,
) -> None:
    pulls = [
        pull(3, merged_at=None, merge_commit_sha=COMMIT),
        pull(12, merge_commit_sha=COMMIT),
        pull(9, merged_at="2026-03-02T00:00:00Z"),
    ]
    brought(mock, review("cid"), pulls=pulls)
    assert source().approved(COMMIT, "").pull_request == 12


def test_without_a_pull_request_whoever_wrote_the_commit_is_its_author(
    mock: responses.RequestsMock,
) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}/pulls", json=[pull(merged_at=None, state="open")])
    mock.get(f"{REPO}/commits/{COMMIT}", json=commit(author="bob"))
    assert source().approved(COMMIT, "") == Approved(
        pull_request=None, authors=("bob", "web-flow"), approvals=()
    )


def test_a_pull_request_whose_commits_are_not_all_listed_decides_nothing(
    mock: responses.RequestsMock,
) -> None:
    mock.get(f"{REPO}/commits/{COMMIT}/pulls", json=[pull()])
    for page, many in ((1, 100), (2, 100), (3, 50)):
        mock.get(
            f"{REPO}/pulls/12/commits",
            json=[commit()] * many,
            match=[matchers.query_param_matcher({"per_page": "100", "page": str(page)})],
        )
    with pytest.raises(OutsideError, match="250 commits or more"):
        source().approved(COMMIT, "")


def environment(login: str | None, state: str = "approved", name: str = "production") -> Any:
    return {
        "user": account(login),
        "state": state,
        "comment": "",
        "environments": [{"id": 1, "name": name}],
    }


def test_who_approved_an_environment_of_the_run_counts_too(mock: responses.RequestsMock) -> None:
    brought(mock)
    words = [
        environment("cid"),
        environment("eve", "rejected"),
        environment("eve", name="other"),
        environment("dan", "pending"),
        environment(None),
    ]
    mock.get(f"{REPO}/actions/runs/77/approvals", json=words)
    assert source().approved(COMMIT, "77").approvals == (
        Approval(login="cid", where="environment production"),
    )


def test_a_run_without_such_approvals_has_none(mock: responses.RequestsMock) -> None:
    brought(mock, review("cid"))
    mock.get(f"{REPO}/actions/runs/77/approvals", status=404, json={"message": "Not Found"})
    assert who(source().approved(COMMIT, "77")) == ["cid"]


@pytest.mark.parametrize("run_id", ["", "local", "7/../8", "\N{ARABIC-INDIC DIGIT SEVEN}", "-7"])
def test_a_run_that_is_none_of_githubs_is_not_asked_for(
    mock: responses.RequestsMock, run_id: str
) -> None:
    brought(mock, review("cid"))
    assert who(source().approved(COMMIT, run_id)) == ["cid"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ana", "bob", "cid"]),
            st.sampled_from(["APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED", "X"]),
            st.sampled_from([HEAD, OTHER, None]),
        )
    )
)
def test_whoever_counts_has_approved_what_was_merged_and_said_nothing_against_it_since(
    said: list[tuple[str, str, str | None]],
) -> None:
    found = _approvals([Fields(review(a, b, of=c), "x") for a, b, c in said], 12, HEAD)
    counted = {one.login for one in found}
    for login in ("ana", "bob", "cid"):
        words = [(state, of) for name, state, of in said if name == login]
        last = next((w for w in reversed(words) if w[0] not in ("COMMENTED", "X")), None)
        assert (login in counted) == (last == ("APPROVED", HEAD))


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
