"""Who approved what was merged: everybody's newest word, and who cannot count for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from responses import matchers

from slipway.clients.fields import Fields
from slipway.clients.github_source import _approvals
from slipway.errors import OutsideError
from slipway.ports import Approval, Approved
from tests.unit.clients.github_answers import COMMIT, HEAD, OTHER, REPO, account, commit, source


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


def into(branch: str) -> Any:
    return {"ref": branch, "repo": {"default_branch": "main"}}


def pull(number: int = 12, **more: Any) -> Any:
    return {
        "number": number,
        "state": "closed",
        "merged_at": "2026-01-02T00:00:00Z",
        "merge_commit_sha": COMMIT,
        "user": account("ana"),
        "head": {"sha": HEAD},
        "base": into("main"),
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
        pull(9, merged_at="2026-03-02T00:00:00Z", merge_commit_sha=OTHER),
    ]
    brought(mock, review("cid"), pulls=pulls)
    assert source().approved(COMMIT, "").pull_request == 12


@pytest.mark.parametrize(
    ("answer", "counts"),
    [({"protected": True}, True), ({"protected": False}, False), (None, False)],
)
def test_an_approval_of_what_was_merged_elsewhere_counts_where_nobody_can_push_there(
    mock: responses.RequestsMock, answer: Any, counts: bool
) -> None:
    # On any other branch there may be what nobody has looked at, and a pull request does not show.
    brought(mock, review("cid"), pulls=[pull(base=into("side"))])
    if answer is None:
        mock.get(f"{REPO}/branches/side", status=404, json={"message": "Branch not found"})
    else:
        said = {"name": "side", "commit": {"sha": OTHER}, "protection": {"enabled": True}}
        mock.get(f"{REPO}/branches/side", json=said | answer)
        if not counts:
            mock.get(f"{REPO}/rules/branches/side", json=[])
    found = source().approved(COMMIT, "")
    assert (found.pull_request, who(found)) == (12, ["cid"] * counts)


def test_a_commit_inside_of_a_pull_request_has_none_of_its_approvals(
    mock: responses.RequestsMock,
) -> None:
    # Who looked at all of it may never have seen this: a later commit may have taken it back.
    brought(
        mock, review("cid"), commits=[commit(author="bob")], pulls=[pull(merge_commit_sha=OTHER)]
    )
    mock.get(f"{REPO}/actions/runs/77/approvals", json=[environment("dan")])
    found = source().approved(COMMIT, "77")
    assert (found.pull_request, found.authors) == (12, ("ana", "bob", "web-flow"))
    assert who(found) == ["dan"]


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
