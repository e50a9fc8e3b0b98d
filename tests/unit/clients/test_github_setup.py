"""What a token sees of a repository's set-up on GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses

from slipway.clients.github_setup import GitHubSetup
from slipway.clients.retries import Patience
from slipway.doctor.github import GitHubEnvironment, GitHubRepository
from slipway.errors import NotFound, Unauthorized

REPO = "https://api.github.com:443/repos/acme/bot"


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


def setup() -> GitHubSetup:
    patience = Patience(attempts=1, backoff=0, jitter=0)
    return GitHubSetup("ghs_s3cret", repository="acme/bot", patience=patience)


def whole(mock: responses.RequestsMock, **more: Any) -> None:
    body = {"id": 1, "full_name": "acme/bot", "private": True, **more}
    mock.get(REPO, json={"url": REPO.replace(":443", ""), **body})


@pytest.mark.parametrize(
    ("permissions", "may_write"),
    [({"pull": True, "push": True}, True), ({"pull": True, "push": False}, False), (None, None)],
)
def test_the_repository_says_whether_it_is_private_and_what_the_token_may(
    mock: responses.RequestsMock, permissions: dict[str, bool] | None, may_write: bool | None
) -> None:
    whole(mock, **({"permissions": permissions} if permissions else {}))
    assert setup().repository() == GitHubRepository(
        name="acme/bot", private=True, may_write=may_write
    )


def test_environments_are_listed_with_the_kinds_of_their_rules(
    mock: responses.RequestsMock,
) -> None:
    whole(mock)
    rules = [{"id": 1, "type": "required_reviewers"}, {"id": 2, "type": "branch_policy"}]
    listed = [
        {"name": "production", "protection_rules": rules},
        {"name": "staging", "protection_rules": []},
    ]
    mock.get(f"{REPO}/environments", json={"total_count": 2, "environments": listed})
    assert setup().environments() == [
        GitHubEnvironment(name="production", rules=("required_reviewers", "branch_policy")),
        GitHubEnvironment(name="staging", rules=()),
    ]


def test_a_repository_that_the_token_may_not_see_is_not_found(mock: responses.RequestsMock) -> None:
    mock.get(REPO, json={"message": "Not Found"}, status=404)
    with pytest.raises(NotFound, match="read the repository"):
        setup().repository()


def test_environments_that_may_not_be_read_say_which_permission(
    mock: responses.RequestsMock,
) -> None:
    whole(mock)
    mock.get(f"{REPO}/environments", json={"message": "no"}, status=403)
    with pytest.raises(Unauthorized) as caught:
        setup().environments()
    assert "`actions: read`" in caught.value.remedy
