"""What GitHub knows of the past: Slipway's deployments, and how commits stand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import responses
from responses import matchers

from slipway.clients.github import GitHub
from slipway.clients.retries import Patience
from slipway.errors import NotFound, OutsideError, Unauthorized
from slipway.ports import Comparison, Shipped

REPO = "https://api.github.com:443/repos/acme/bot"
ANSWERED = "https://api.github.com/repos/acme/bot"
BASE, HEAD = "a" * 40, "b" * 40
READ_ONLY = {"message": "Resource not accessible by integration"}


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


def forge() -> GitHub:
    patience = Patience(attempts=2, backoff=0, jitter=0, rate_limit_cap=60)
    return GitHub("ghs_s3cret", repository="acme/bot", patience=patience, sleep=lambda _s: None)


def made(number: int, *, description: str | None = "Slipway: deploy", **more: Any) -> Any:
    return {
        "id": number,
        "url": f"{ANSWERED}/deployments/{number}",
        "sha": BASE,
        "task": "deploy",
        "payload": {"service": "bot", "build": f"sha256:{number:064}"},
        "environment": "production/bot",
        "description": description,
        "creator": {"login": "ana"},
        "created_at": "2026-01-02T03:04:05Z",
        **more,
    }


def lists(mock: responses.RequestsMock, deployments: list[Any], page: int = 1) -> None:
    asked = {"environment": "production/bot", "per_page": "100"}
    query = matchers.query_param_matcher(asked | ({"page": str(page)} if page > 1 else {}))
    mock.get(f"{REPO}/deployments", json=deployments, match=[query])


def says(mock: responses.RequestsMock, number: int, *states: str) -> None:
    """Answer with statuses, newest first, each as ``state`` or ``state description``."""
    told = [state.partition(" ") for state in states]
    at = "2026-01-02T04:00:00Z"
    statuses = [{"state": s, "description": said, "created_at": at} for s, _, said in told]
    mock.get(f"{REPO}/deployments/{number}/statuses", json=statuses)


# Deployments


def test_what_was_shipped_comes_newest_first_with_its_latest_state(
    mock: responses.RequestsMock,
) -> None:
    payload = {"build": f"sha256:{9:064}", "release": "77.1-9", "run": "77"}
    lists(mock, [made(9, payload=payload), made(4, task="adopt")])
    says(mock, 9, "failure rolled-back: too many errors", "in_progress adopted: not so")
    says(mock, 4, "inactive Replaced by a newer one", "success adopted: it is live", "in_progress")
    first, second = forge().shipped("production/bot")
    assert first == Shipped(
        id=9,
        build=f"sha256:{9:064}",
        commit=BASE,
        task="deploy",
        state="failure",
        result="rolled-back",
        actor="ana",
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        why="rolled-back: too many errors",
        ended_at=datetime(2026, 1, 2, 4, tzinfo=UTC),
        release="77.1-9",
        run="77",
    )
    assert (second.task, second.state, second.passed) == ("adopt", "inactive", True)


def test_statuses_are_asked_for_only_as_far_as_somebody_reads(mock: responses.RequestsMock) -> None:
    lists(mock, [made(9), made(4)])
    says(mock, 9, "success")
    assert next(forge().shipped("production/bot")).id == 9


def test_of_deployments_for_other_commits_no_status_is_asked_for(
    mock: responses.RequestsMock,
) -> None:
    lists(mock, [made(9, sha=HEAD), made(4)])
    says(mock, 4, "success")
    assert [one.id for one in forge().shipped("production/bot", commits=[BASE])] == [4]


def test_an_unlock_names_the_build_and_is_one_only_with_its_status(
    mock: responses.RequestsMock,
) -> None:
    unlock: dict[str, Any] = {"task": "unlock", "payload": {"unlocks": "sha256:1"}}
    lists(mock, [made(9, **unlock), made(8, **unlock)])
    says(mock, 9, "inactive unlocked: it was the provider")
    says(mock, 8)
    found = list(forge().shipped("production/bot"))
    assert [(one.unlocked, one.unlocks, one.build) for one in found] == [
        (True, "sha256:1", None),
        (False, "sha256:1", None),
    ]


def test_who_pressed_is_who_started_the_run_last(mock: responses.RequestsMock) -> None:
    run = {"id": 77, "actor": {"login": "ana"}, "triggering_actor": {"login": "bo"}}
    mock.get(f"{REPO}/actions/runs/77", json=run)
    assert forge().presser("77") == "bo"


def test_at_a_terminal_it_is_whose_token_it_is(mock: responses.RequestsMock) -> None:
    mock.get("https://api.github.com:443/user", json={"login": "ana"})
    assert forge().presser("") == "ana"


def test_who_pressed_may_not_be_asked_without_the_permission(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/actions/runs/77", json=READ_ONLY, status=403)
    with pytest.raises(Unauthorized) as refused:
        forge().presser("77")
    assert "`actions: read`" in refused.value.remedy


def test_deployments_of_others_in_the_same_environment_are_passed_over(
    mock: responses.RequestsMock,
) -> None:
    """Render and `environment:` of a workflow write some of their own."""
    foreign = [made(9, description="Render"), made(8, description=None), made(7, description="")]
    lists(mock, [*foreign, made(6)])
    says(mock, 6, "success")
    assert [one.id for one in forge().shipped("production/bot")] == [6]


def test_a_full_page_is_followed_by_the_next_and_three_are_enough(
    mock: responses.RequestsMock,
) -> None:
    for page in (1, 2, 3):
        foreign = [made(1000 - 100 * page - n, description="Render") for n in range(99)]
        lists(mock, [*foreign, made(page)], page)
        says(mock, page, "success")
    assert [one.id for one in forge().shipped("production/bot")] == [1, 2, 3]


@pytest.mark.parametrize(
    "payload",
    [
        "sha256:1",
        '{"build": "sha256:1"}',
        "",
        None,
        {},
        {"build": None},
        {"build": 7},
        {"build": ["x"]},
    ],
)
def test_a_payload_that_names_no_build_in_our_way_names_none(
    mock: responses.RequestsMock, payload: object
) -> None:
    lists(mock, [made(1, payload=payload)])
    says(mock, 1, "success")
    assert [one.build for one in forge().shipped("production/bot")] == [None]


def test_a_deployment_without_a_status_or_an_author_has_passed_nothing(
    mock: responses.RequestsMock,
) -> None:
    lists(mock, [made(1, creator=None)])
    says(mock, 1)
    (one,) = forge().shipped("production/bot")
    assert (one.state, one.passed, one.actor) == ("", False, "")


def test_no_deployment_at_all_is_an_empty_history(mock: responses.RequestsMock) -> None:
    lists(mock, [])
    assert list(forge().shipped("production/bot")) == []


@pytest.mark.parametrize("path", ["deployments", "deployments/1/statuses"])
def test_a_token_that_may_not_read_deployments_gets_the_line_to_add(path: str) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(f"{REPO}/{path}", json=READ_ONLY, status=403)
        lists(mock, [made(1)])
        with pytest.raises(Unauthorized) as caught:
            list(forge().shipped("production/bot"))
    assert "`deployments: read`" in caught.value.remedy


def test_a_repository_that_is_not_there_has_no_history(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/deployments", json={"message": "Not Found"}, status=404)
    with pytest.raises(NotFound, match="read the deployments"):
        list(forge().shipped("production/bot"))


def test_a_deployment_that_is_not_as_documented_is_an_outside_error(
    mock: responses.RequestsMock,
) -> None:
    lists(mock, [made(1, sha=7)])
    says(mock, 1, "success")
    with pytest.raises(OutsideError, match="not as documented"):
        list(forge().shipped("production/bot"))


# Comparing


def said(sha: str, message: str) -> dict[str, Any]:
    return {"sha": sha, "commit": {"message": message}}


def compared(mock: responses.RequestsMock, **answer: Any) -> Comparison:
    body = {
        "url": f"{ANSWERED}/compare/{BASE}...{HEAD}",
        "status": "ahead",
        "total_commits": len(answer.get("commits", [])),
        "commits": [],
        "files": [],
        **answer,
    }
    mock.get(f"{REPO}/compare/{BASE}...{HEAD}", json=body)
    return forge().compare(BASE, HEAD)


def test_a_comparison_says_how_they_stand_and_what_changed(mock: responses.RequestsMock) -> None:
    found = compared(
        mock,
        commits=[said("c" * 40, "First"), said(HEAD, "Second\n\nWhy")],
        files=[
            {"filename": "bot/app.py"},
            {"filename": "shared/log.py", "previous_filename": "bot/log.py"},
        ],
    )
    assert found == Comparison(
        status="ahead",
        files=("bot/app.py", "bot/log.py", "shared/log.py"),
        commits=("c" * 40, HEAD),
        messages=("First", "Second\n\nWhy"),
    )
    assert len(mock.calls) == 1


@pytest.mark.parametrize("count", [299, 300])
def test_more_files_than_github_lists_are_not_taken_for_all(
    mock: responses.RequestsMock, count: int
) -> None:
    found = compared(mock, files=[{"filename": f"f{n}"} for n in range(count)])
    assert (found.files is None) is (count == 300)


def test_no_more_commits_are_read_than_250(mock: responses.RequestsMock) -> None:
    path = f"{REPO}/compare/{BASE}...{HEAD}"
    for page in (1, 2, 3):
        commits = [said(f"{page * 1000 + n:040x}", "A change") for n in range(100)]
        body = {"status": "ahead", "files": [], "commits": commits, "total_commits": 1000}
        answered = f"{ANSWERED}/compare/{BASE}...{HEAD}"
        link = {"Link": f'<{answered}?per_page=100&page={page + 1}>; rel="next"'}
        query = matchers.query_param_matcher({"per_page": "100", "page": str(page)})
        mock.get(path, json=body, headers=link, match=[query])
    found = forge().compare(BASE, HEAD)
    assert len(found.commits) == len(found.messages) == 250
    assert found.more


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [(404, NotFound, "acme/bot is the repository"), (403, Unauthorized, "`contents: read`")],
)
def test_a_comparison_that_is_refused_says_what_to_do(
    mock: responses.RequestsMock, status: int, error: type[OutsideError], remedy: str
) -> None:
    mock.get(f"{REPO}/compare/{BASE}...{HEAD}", json={"message": "no"}, status=status)
    with pytest.raises(error, match="compare two commits") as caught:
        forge().compare(BASE, HEAD)
    assert remedy in caught.value.remedy
