"""GitHub as people see it: deployments, their statuses, and one comment per release."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests
import responses
from responses import matchers

from slipway.clients.github import GitHub
from slipway.clients.github_comments import CUT, MAX_COMMENT, ROUNDS, SETTLE
from slipway.clients.retries import Patience
from slipway.errors import NotFound, OutsideError, Unauthorized, Unreachable, UsageError
from slipway.ports import Deployment
from tests.unit.clients.stub import Said, serve

API = "https://api.github.com:443"  # PyGithub asks with the port, GitHub answers without
REPO = f"{API}/repos/acme/bot"
ANSWERED = "https://api.github.com/repos/acme/bot"
COMMENTS = f"{REPO}/issues/12/comments"
MARK = "<!-- mark -->"
BOT = "github-actions[bot]"
TOKEN = "ghs_s3cret"
READ_ONLY = {"message": "Resource not accessible by integration"}


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


@pytest.fixture(autouse=True)
def no_pause_between_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.clients.github_connection.BETWEEN_WRITES", 0.0)


def forge(**kwargs: Any) -> GitHub:
    quick = Patience(attempts=2, backoff=0, jitter=0, rate_limit_cap=60)
    arguments = {"author": BOT, "patience": quick, "sleep": lambda _seconds: None, **kwargs}
    return GitHub(TOKEN, repository="acme/bot", **arguments)


def sent(mock: responses.RequestsMock, index: int = -1) -> Any:
    return json.loads(mock.calls[index].request.body or "null")


def test_loading_the_module_does_not_load_pygithub() -> None:
    code = "import sys, slipway.clients.github; sys.exit('github' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "scripts"}, check=False)
    assert done.returncode == 0


# Deployments


def start(github: GitHub) -> Deployment:
    return github.start_deployment(
        ref="c" * 40, environment="prod", task="deploy", payload={"a": 1}, production=True
    )


def test_a_deployment_waits_for_no_check_and_merges_nothing(mock: responses.RequestsMock) -> None:
    mock.post(f"{REPO}/deployments", json={"id": 5}, status=201)
    assert start(forge()) == Deployment(id=5, environment="prod")
    assert sent(mock) == {
        "ref": "c" * 40,
        "task": "deploy",
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"a": 1},
        "environment": "prod",
        "description": "Slipway: deploy",
        "transient_environment": False,
        "production_environment": True,
    }


@pytest.mark.parametrize("body", [{}, {"id": "5"}, {"id": None}, [], "<html>"])
def test_a_deployment_without_an_id_is_an_outside_error(
    mock: responses.RequestsMock, body: Any
) -> None:
    mock.post(f"{REPO}/deployments", json=body, status=201)
    with pytest.raises(OutsideError):
        start(forge())


def test_a_status_is_set_without_reading_the_deployment_first(mock: responses.RequestsMock) -> None:
    mock.post(f"{REPO}/deployments/5/statuses", json={"id": 1}, status=201)
    forge().set_status(
        Deployment(id=5, environment="prod"),
        "in_progress",
        description="5 %\nfor  10 min " + "x" * 200,
        log_url="https://github.com/acme/bot/actions/runs/1",
        environment_url="https://bot.test",
    )
    assert len(mock.calls) == 1
    body = sent(mock)
    assert body["environment_url"] == "https://bot.test"
    assert body["target_url"] == "https://github.com/acme/bot/actions/runs/1"
    assert body["description"].startswith("5 % for 10 min x")
    assert len(body["description"]) == 140


def test_without_an_address_none_is_sent(mock: responses.RequestsMock) -> None:
    mock.post(f"{REPO}/deployments/5/statuses", json={"id": 1}, status=201)
    forge().set_status(
        Deployment(id=5, environment="prod"),
        "failure",
        description="no",
        log_url=None,
        environment_url=None,
    )
    assert set(sent(mock)) == {"state", "description"}


def made(number: int, *, production: bool = True) -> dict[str, Any]:
    return {
        "id": number,
        "url": f"{ANSWERED}/deployments/{number}",
        "environment": "prod",
        "production_environment": production,
    }


def succeed(github: GitHub) -> None:
    github.set_status(
        Deployment(id=5, environment="prod"),
        "success",
        description="done",
        log_url=None,
        environment_url=None,
    )


def test_after_success_earlier_active_production_deployments_become_inactive(
    mock: responses.RequestsMock,
) -> None:
    for number in (5, 3):
        mock.post(f"{REPO}/deployments/{number}/statuses", json={"id": 1}, status=201)
    listed = [made(6), made(5), made(4), made(3), made(2, production=False)]
    query = matchers.query_param_matcher({"environment": "prod", "per_page": "100"})
    mock.get(f"{REPO}/deployments", json=listed, match=[query])
    mock.get(f"{REPO}/deployments/4/statuses", json=[{"state": "failure"}, {"state": "success"}])
    mock.get(f"{REPO}/deployments/3/statuses", json=[{"state": "success"}])
    notices: list[str] = []
    succeed(forge(notice=notices.append))
    assert notices == []
    posts = [call for call in mock.calls if call.request.method == "POST"]
    assert [json.loads(call.request.body or "")["state"] for call in posts] == [
        "success",
        "inactive",
    ]
    assert str(posts[1].request.url).endswith("/deployments/3/statuses")


def test_earlier_deployments_that_cannot_be_read_do_not_fail_the_release(
    mock: responses.RequestsMock,
) -> None:
    notices: list[str] = []
    mock.post(f"{REPO}/deployments/5/statuses", json={"id": 1}, status=201)
    mock.get(f"{REPO}/deployments", json={"message": "oops"}, status=500)
    succeed(forge(notice=notices.append))
    assert "may still show as active" in notices[0]


# Pull requests


def pull(number: int, *, merged: str | None = None, state: str = "closed", sha: str = "") -> Any:
    return {"number": number, "merged_at": merged, "state": state, "merge_commit_sha": sha}


@pytest.mark.parametrize(
    ("pulls", "number"),
    [
        ([], None),
        ([pull(1)], None),
        ([pull(1), pull(2, state="open")], 2),
        ([pull(1, state="open"), pull(2, merged="2026-01-01T00:00:00Z")], 2),
        (
            [
                pull(1, merged="2026-01-01T00:00:00Z"),
                pull(2, merged="2026-01-03T00:00:00Z"),
                pull(3, merged="2026-01-02T00:00:00Z"),
            ],
            2,
        ),
        (
            [
                pull(1, merged="2026-01-01T00:00:00Z", sha="c" * 40),
                pull(2, merged="2026-01-03T00:00:00Z", sha="d" * 40),
            ],
            1,
        ),
    ],
)
def test_the_pull_request_is_the_merged_one_then_an_open_one(
    mock: responses.RequestsMock, pulls: list[Any], number: int | None
) -> None:
    mock.get(f"{REPO}/commits/{'c' * 40}/pulls", json=pulls)
    assert forge().pull_request("c" * 40) == number


def test_a_commit_github_does_not_know_has_no_pull_request(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/commits/abc/pulls", json={"message": "No commit found"}, status=422)
    assert forge().pull_request("abc") is None


# The comment


def written(number: int, body: str | None, login: str = BOT, kind: str = "Bot") -> dict[str, Any]:
    return {
        "id": number,
        "url": f"{ANSWERED}/issues/comments/{number}",
        "body": body,
        "user": {"login": login, "type": kind},
    }


def say(github: GitHub, text: str, *, certain: bool = False) -> None:
    github.comment(12, MARK, lambda _bodies: f"{MARK}\n{text}", certain=certain)


def test_without_a_comment_of_ours_one_is_made(mock: responses.RequestsMock) -> None:
    others = [written(1, "hello"), written(2, None), written(3, f"see {MARK}")]
    mock.get(COMMENTS, json=others)
    mock.post(COMMENTS, json=written(4, ""), status=201)
    say(forge(), "5 %")
    assert sent(mock) == {"body": f"{MARK}\n5 %"}


def test_our_comment_is_found_on_a_later_page_and_changed(mock: responses.RequestsMock) -> None:
    follow = {"Link": f'<{ANSWERED}/issues/12/comments?page=2>; rel="next"'}
    mock.get(COMMENTS, json=[written(n, "x") for n in range(100)], headers=follow)
    mock.get(f"{COMMENTS}?page=2", json=[written(200, f"{MARK}\nold")])
    mock.patch(f"{REPO}/issues/comments/200", json=written(200, "new"))
    say(forge(), "new")
    assert sent(mock) == {"body": f"{MARK}\nnew"}


def test_a_comment_that_already_says_it_is_left_alone(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[written(1, f"{MARK}\r\nsame\r\n")])
    say(forge(), "same\n")


def test_a_marker_somebody_else_wrote_is_not_ours(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[written(1, f"{MARK}\nfake", "mallory", "User")])
    mock.post(COMMENTS, json=written(2, ""), status=201)
    say(forge(), "5 %")


@pytest.mark.parametrize(
    ("who", "comment", "ours"),
    [
        ((200, {"login": "deployer"}), written(1, MARK, "deployer", "User"), True),
        ((200, {"login": "deployer"}), written(1, MARK, "mallory", "User"), False),
        ((403, READ_ONLY), written(1, MARK, "acme-app[bot]"), True),
        ((403, READ_ONLY), written(1, MARK, "mallory", "User"), False),
    ],
)
def test_who_we_are_is_asked_when_it_is_not_said(
    mock: responses.RequestsMock, who: tuple[int, Any], comment: Any, ours: bool
) -> None:
    mock.get(COMMENTS, json=[comment])
    mock.get(f"{API}/user", json=who[1], status=who[0])
    if ours:
        mock.patch(f"{REPO}/issues/comments/1", json=comment)
    else:
        mock.post(COMMENTS, json=comment, status=201)
    say(forge(author=None), "5 %")


def test_a_comment_too_long_for_github_is_cut_and_says_so(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[])
    mock.post(COMMENTS, json=written(1, ""), status=201)
    say(forge(), "x" * 70_000)
    body = sent(mock)["body"]
    assert len(body) == MAX_COMMENT
    assert body.startswith(MARK)
    assert body.endswith(CUT)


def test_a_next_page_on_another_host_is_not_asked_for(mock: responses.RequestsMock) -> None:
    away = {"Link": '<https://elsewhere.test/repos/acme/bot?page=2>; rel="next"'}
    mock.get(COMMENTS, json=[written(1, "x")], headers=away)
    with pytest.raises(OutsideError):
        say(forge(), "new")
    assert len(mock.calls) == 1


def test_comments_made_at_the_same_time_become_the_oldest_one(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[written(2, f"{MARK}\nb"), written(1, f"{MARK}\na")])
    mock.patch(f"{REPO}/issues/comments/1", json=written(1, ""))
    mock.delete(f"{REPO}/issues/comments/2", json={"message": "Not Found"}, status=404)
    seen: list[str] = []

    def merge(bodies: Sequence[str]) -> str:
        seen.extend(bodies)
        return f"{MARK}\nab"

    forge().comment(12, MARK, merge, certain=False)
    assert seen == [f"{MARK}\na", f"{MARK}\nb"]
    assert sent(mock, 1) == {"body": f"{MARK}\nab"}


def test_a_section_another_job_overwrote_is_written_again(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[written(1, f"{MARK}\nold")])
    mock.get(COMMENTS, json=[written(1, f"{MARK}\nsomebody else")])
    mock.get(COMMENTS, json=[written(1, f"{MARK}\nmine")])
    for _ in range(2):
        mock.patch(f"{REPO}/issues/comments/1", json=written(1, ""))
    pauses: list[float] = []
    say(forge(sleep=pauses.append), "mine", certain=True)
    assert len(pauses) == 2
    assert all(pause >= SETTLE for pause in pauses)


def test_a_list_older_than_our_write_makes_no_second_comment(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[])
    mock.post(COMMENTS, json=written(4, f"{MARK}\nmine"), status=201)
    mock.get(f"{REPO}/issues/comments/4", json=written(4, f"{MARK}\nmine"))
    say(forge(), "mine", certain=True)
    assert [call.request.method for call in mock.calls].count("POST") == 1


def test_a_comment_deleted_while_it_was_written_is_made_again(mock: responses.RequestsMock) -> None:
    mock.get(COMMENTS, json=[written(1, f"{MARK}\nold")])
    mock.patch(f"{REPO}/issues/comments/1", json={"message": "Not Found"}, status=404)
    mock.get(COMMENTS, json=[])
    mock.post(COMMENTS, json=written(4, ""), status=201)
    mock.get(COMMENTS, json=[written(4, f"{MARK}\nmine")])
    say(forge(), "mine", certain=True)


def test_a_comment_that_is_always_overwritten_is_given_up_and_said(
    mock: responses.RequestsMock,
) -> None:
    mock.get(COMMENTS, json=[written(1, f"{MARK}\nsomebody else")])
    mock.patch(f"{REPO}/issues/comments/1", json=written(1, ""))
    notices: list[str] = []
    say(forge(notice=notices.append), "mine", certain=True)
    assert len(mock.calls) == 2 * ROUNDS
    assert "overwritten" in notices[0]


# Errors


@pytest.mark.parametrize(
    ("call", "permission"),
    [
        (start, "deployments: write"),
        (succeed, "deployments: write"),
        (lambda g: g.pull_request("abc"), "pull-requests: read"),
        (lambda g: say(g, "x"), "pull-requests: write"),
    ],
)
def test_a_token_that_may_not_gets_the_line_to_add(call: Any, permission: str) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method, path in [
            ("POST", "deployments"),
            ("POST", "deployments/5/statuses"),
            ("GET", "commits/abc/pulls"),
            ("GET", "issues/12/comments"),
        ]:
            headers = {"x-github-request-id": "F00:1"}
            mock.add(method, f"{REPO}/{path}", json=READ_ONLY, status=403, headers=headers)
        with pytest.raises(Unauthorized, match=r"github-token|F00:1") as caught:
            call(forge())
        assert len(mock.calls) == 1
    assert f"`{permission}`" in caught.value.remedy
    assert "F00:1" in str(caught.value)


def test_a_refusal_is_told_once_and_not_by_pygithub_too(
    mock: responses.RequestsMock, capfd: pytest.CaptureFixture[str]
) -> None:
    mock.post(f"{REPO}/deployments", json=READ_ONLY, status=403)
    with pytest.raises(Unauthorized):
        start(forge())
    assert capfd.readouterr() == ("", "")


def test_a_repository_that_is_not_there_is_not_found(mock: responses.RequestsMock) -> None:
    mock.post(f"{REPO}/deployments", json={"message": "Not Found"}, status=404)
    with pytest.raises(NotFound, match="Not Found"):
        start(forge())


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_write_github_failed_is_not_sent_again(mock: responses.RequestsMock, status: int) -> None:
    mock.post(f"{REPO}/deployments", json={"message": "oops"}, status=status)
    with pytest.raises(OutsideError, match=str(status)):
        start(forge())
    assert len(mock.calls) == 1


def test_a_read_is_tried_again_and_then_given_up(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/commits/abc/pulls", status=503)
    with pytest.raises(OutsideError, match="2 attempts"):
        forge().pull_request("abc")
    assert len(mock.calls) == 2


@pytest.mark.parametrize(
    ("after", "waited"), [("7", [7]), ("9999", [60]), ("soon", [0]), (None, [60])]
)
def test_a_write_refused_by_a_limit_is_sent_again_after_the_wait_that_is_asked(
    after: str | None, waited: list[float]
) -> None:
    waits: list[float] = []
    headers = {} if after is None else {"Retry-After": after}
    limit = Said(403, {"message": "You have exceeded a secondary rate limit"}, headers)
    with serve(limit, Said(201, {"id": 5})) as stub:
        assert start(forge(base_url=stub.url, sleep=waits.append)).id == 5
    assert waits == waited
    assert len(stub.heard) == 2


def test_no_answer_is_unreachable(mock: responses.RequestsMock) -> None:
    mock.get(f"{REPO}/commits/abc/pulls", body=requests.ConnectionError("x"))
    with pytest.raises(Unreachable):
        forge().pull_request("abc")


def test_github_enterprise_is_an_address(mock: responses.RequestsMock) -> None:
    mock.post(
        "https://ghe.acme.test:443/api/v3/repos/acme/bot/deployments", json={"id": 5}, status=201
    )
    assert start(forge(base_url="https://ghe.acme.test/api/v3")).id == 5


def test_the_token_is_sent_and_shown_nowhere(mock: responses.RequestsMock) -> None:
    mock.post(f"{REPO}/deployments", json={"message": f"bad {TOKEN}"}, status=422)
    github = forge()
    with pytest.raises(OutsideError) as caught:
        start(github)
    assert TOKEN in str(mock.calls[0].request.headers["Authorization"])
    assert TOKEN not in str(caught.value) + caught.value.remedy + repr(github) + repr(vars(github))
    with pytest.raises(UsageError):
        GitHub(f"{TOKEN}\n", repository="acme/bot")
    assert TOKEN not in str(traceback.format_exception_only(caught.value))
