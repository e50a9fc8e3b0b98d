"""The connection to GitHub over PyGithub: asked for when it is needed, and failing in our words.

PyGithub is imported where it is used: it takes longer to load than a whole rollback needs it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import requests

from slipway.clients.github_retry import bounded_retry
from slipway.clients.http import Key, why
from slipway.clients.replies import clean
from slipway.clients.retries import Notice, Patience, Sleep
from slipway.errors import NotFound, OutsideError, Unauthorized, Unreachable

if TYPE_CHECKING:
    from github import GithubException
    from github.PullRequest import PullRequest
    from github.Repository import Repository

API: Final = "https://api.github.com"
PAGE: Final = 100
BETWEEN_WRITES: Final = 0.2
"""Seconds. PyGithub's second between writes is meant for bulk work."""


class Connection:
    """One repository on GitHub, or on a GitHub Enterprise server by ``base_url``."""

    def __init__(
        self,
        key: Key,
        *,
        repository: str,
        base_url: str,
        patience: Patience,
        notice: Notice,
        sleep: Sleep,
    ) -> None:
        self.notice = notice
        self.sleep = sleep
        self._key = key
        self._repository = repository
        self._base_url = base_url
        self._patience = patience
        self._loaded: Repository | None = None

    def repo(self) -> Repository:
        """Return the repository; nothing is asked until something of it is."""
        if self._loaded is None:
            from github import Auth, Github  # noqa: PLC0415 - see the module's docstring

            # It installs its own handler and tells the job's log about every 403.
            logging.getLogger("github").setLevel(logging.WARNING)
            self._loaded = Github(
                auth=Auth.Token(self._key.value),
                base_url=self._base_url,
                timeout=max(1, round(self._patience.read_timeout)),
                per_page=PAGE,
                retry=bounded_retry(self._patience, self.notice, self.sleep),
                seconds_between_requests=0.0,
                seconds_between_writes=BETWEEN_WRITES,
                user_agent="slipway",
                lazy=True,
            ).get_repo(self._repository)
        return self._loaded

    def login(self) -> str:
        """Return who the token writes as; empty for an app's token, which may not ask."""
        from github import GithubException  # noqa: PLC0415

        try:
            _, user = self.repo().requester.requestJsonAndCheck("GET", "/user")
        except GithubException:
            return ""
        return str(user.get("login") or "")

    @contextmanager
    def asking(
        self, aim: str, permission: str, *, unknown: tuple[int, ...] = ()
    ) -> Iterator[list[PullRequest]]:
        """Turn what PyGithub and requests raise into our errors.

        Yields a list to fill; a status in ``unknown`` leaves it as it is.
        """
        from github import BadAttributeException, GithubException  # noqa: PLC0415

        try:
            yield []
        except GithubException as error:
            if error.status not in unknown:
                raise self._refusal(aim, permission, error) from error
        except (BadAttributeException, AssertionError) as error:
            # PyGithub asserts that an address in an answer is GitHub's own.
            raise OutsideError(
                f"GitHub: to {aim}: the answer is not as documented",
                remedy="Look for a newer Slipway, or report this.",
            ) from error
        except requests.exceptions.RetryError as error:
            raise OutsideError(
                f"GitHub: to {aim}: no proper answer in {self._patience.attempts} attempts",
                remedy="GitHub is failing or limits this token: see githubstatus.com, then run "
                "again.",
            ) from error
        except requests.RequestException as error:
            raise Unreachable(
                f"GitHub: to {aim}: {why(error)}",
                remedy="Check that the runner reaches GitHub's API; see githubstatus.com.",
            ) from error

    def _refusal(self, aim: str, permission: str, error: GithubException) -> OutsideError:
        from github import RateLimitExceededException  # noqa: PLC0415

        data = error.data if isinstance(error.data, dict) else {}
        said = clean(str(data.get("message") or error.data or ""), secret=self._key.value)
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        request = clean(str(headers.get("x-github-request-id", "not named")), limit=80)
        found = f"GitHub: to {aim}: {error.status}, {said} (request {request})"
        if isinstance(error, RateLimitExceededException):
            return OutsideError(found, remedy="GitHub limits this token; run again later.")
        if error.status in (401, 403):
            return Unauthorized(
                f"{found}. The token in {self._key.setting} may not do this",
                remedy=f"Add `{permission}` under `permissions:` of the job. In runs for forks and "
                "Dependabot the token can only read, whatever is added.",
            )
        if error.status in (404, 410):
            return NotFound(
                found,
                remedy=f"Check that {self._repository} is the repository and that the job has "
                f"`{permission}` under `permissions:`.",
            )
        return OutsideError(found, remedy="Correct what GitHub names, or see githubstatus.com.")
