"""GitHub over PyGithub: Deployments, and the one comment on the pull request.

PyGithub is imported where it is used: it takes longer to load than a whole rollback needs it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import requests

from slipway.clients.github_retry import bounded_retry
from slipway.clients.http import Key, why
from slipway.clients.replies import clean
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import NotFound, OutsideError, SlipwayError, Unauthorized, Unreachable
from slipway.ports import Comparison, Deployment, Forge, Shipped

if TYPE_CHECKING:
    from github import GithubException
    from github.Deployment import Deployment as GitHubDeployment
    from github.Issue import Issue
    from github.IssueComment import IssueComment
    from github.PullRequest import PullRequest
    from github.Repository import Repository

API: Final = "https://api.github.com"
MAX_DESCRIPTION: Final = 140
"""Characters of a deployment's description (GitHub's API description)."""
MAX_COMMENT: Final = 65_536
"""Characters of a comment; GitHub refuses longer ones."""
CUT: Final = "\n\n*Cut here: GitHub takes no longer comment. The job's summary has the rest.*"
ROUNDS: Final = 6
"""Times a comment is written and looked at again."""
SETTLE: Final = 1.0
"""Seconds, at least, from a write to the look at it: longer than another job takes from reading the
comment to writing it."""
PAGE: Final = 100
DESCRIPTION: Final = "Slipway: "
"""Begins the description of every deployment of ours."""
MAX_FILES: Final = 300
"""Files that GitHub lists of a comparison at most."""
MAX_HISTORY_PAGES: Final = 3
MAX_OLDER: Final = 10
"""Earlier deployments looked at when a new one has succeeded."""
BETWEEN_WRITES: Final = 0.2
"""Seconds. PyGithub's second between writes is meant for bulk work."""


class GitHub(Forge):
    """One repository on GitHub, or on a GitHub Enterprise server by ``base_url``.

    Raises :class:`Unauthorized` with the permission that is missing, :class:`NotFound`,
    :class:`Unreachable` or plain :class:`OutsideError`.
    """

    def __init__(
        self,
        token: str,
        *,
        repository: str,
        base_url: str = API,
        author: str | None = None,
        setting: str = "github-token",
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        """``author``: the login the token writes as; asked from GitHub when it is needed."""
        self._key = Key(
            value=token,
            setting=setting,
            renew="A workflow's own token is ${{ github.token }}.",
        )
        self._repository = repository
        self._base_url = base_url
        self._author = author
        self._patience = patience or Patience(attempts=4, read_timeout=15)
        self._notice = notice
        self._sleep = sleep
        self._loaded: Repository | None = None
        self._made: dict[int, int] = {}

    def start_deployment(
        self, *, ref: str, environment: str, task: str, payload: Mapping[str, Any], production: bool
    ) -> Deployment:
        """Create a Deployment. Waits for no check and merges nothing: the gates are ours."""
        with self._asking("create the deployment", "deployments: write"):
            made = self._repo().create_deployment(
                ref=ref,
                task=task,
                auto_merge=False,
                required_contexts=[],
                payload=dict(payload),
                environment=environment,
                description=f"{DESCRIPTION}{task}"[:MAX_DESCRIPTION],
                transient_environment=False,
                production_environment=production,
            )
            number: object = made.id
            if not isinstance(number, int):
                raise OutsideError(
                    f"GitHub: the new deployment of {environment} has no id",
                    remedy="Look at the repository's deployments and run again.",
                )
        return Deployment(id=number, environment=environment)

    def set_status(
        self,
        deployment: Deployment,
        state: str,
        *,
        description: str,
        log_url: str | None,
        environment_url: str | None,
    ) -> None:
        """Add a status. ``log_url``: the run; ``environment_url``: what it deploys to.

        After ``success`` the earlier production deployments of the environment are set
        ``inactive``, which GitHub does by itself for other environments only. That is cosmetic:
        if it fails, a notice says so.
        """
        with self._asking("set the deployment's status", "deployments: write"):
            made = self._repo().get_deployment(deployment.id)
            self._add_status(made, state, description, log_url, environment_url)
        if state == "success":
            try:
                with self._asking("set earlier deployments inactive", "deployments: write"):
                    self._retire_before(deployment)
            except SlipwayError as error:
                self._notice(f"{error.found}. Earlier deployments may still show as active.")

    def shipped(self, environment: str) -> Iterator[Shipped]:
        """Yield Slipway's deployments of ``environment``, newest first; asked for as needed."""
        with self._asking("read the deployments", "deployments: read"):
            listed = self._repo().get_deployments(environment=environment)
        for number in range(MAX_HISTORY_PAGES):
            with self._asking("read the deployments", "deployments: read"):
                page = listed.get_page(number)
            for made in page:
                if (made.description or "").startswith(DESCRIPTION):
                    yield self._shipped(made)
            if len(page) < PAGE:
                return

    def _shipped(self, made: GitHubDeployment) -> Shipped:
        with self._asking("read a deployment's status", "deployments: read"):
            latest = next(iter(made.get_statuses()), None)
            payload: object = made.payload
            build = payload.get("build") if isinstance(payload, dict) else None
            return Shipped(
                id=made.id,
                build=build if isinstance(build, str) else None,
                commit=made.sha,
                task=made.task,
                state=latest.state if latest else "",
                actor=made.creator.login if made.creator else "",
                created_at=made.created_at,
            )

    def compare(self, base: str, head: str) -> Comparison:
        """Compare two commits. More than 300 files, or 250 commits, are not all listed."""
        with self._asking("compare two commits", "contents: read"):
            found = self._repo().compare(base, head)
            files = tuple(file.filename for file in found.files)
            return Comparison(
                status=found.status,
                files=files if len(files) < MAX_FILES else None,
                commits=tuple(commit.sha for commit in found.commits),
            )

    def pull_request(self, commit: str) -> int | None:
        """Return the number of the pull request that brought ``commit``, if any.

        A merged one comes first (the one whose merge made this very commit, then the latest),
        then an open one. One that was closed without a merge brought nothing.
        """
        permission = "pull-requests: read"
        with self._asking("find the pull request", permission, unknown=(422,)) as answer:
            answer.extend(self._repo().get_commit(commit).get_pulls())
        merged = [pull for pull in answer if pull.merged_at is not None]
        if merged:
            latest = max(merged, key=lambda pull: (pull.merge_commit_sha == commit, pull.merged_at))
            return int(latest.number)
        return next((int(pull.number) for pull in answer if pull.state == "open"), None)

    def comment(
        self,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
        *,
        certain: bool,
    ) -> None:
        """Keep the one comment that begins with ``marker`` and was written by us.

        GitHub has no conditional write: of two jobs that read, merge and write at the same time,
        the later overwrites the earlier. So a writer looks again when the other has surely
        written, and repeats until its part stands. The oldest comment is kept; others that two
        jobs created at the same time are merged into it and deleted.
        """
        with self._asking("comment on the pull request", "pull-requests: write"):
            issue = self._repo().get_issue(pull_request)
            for attempt in range(ROUNDS):
                if self._written(issue, pull_request, marker, merge) or not certain:
                    return
                # Two that collided must not collide again: the pauses differ, and grow apart.
                self._sleep(SETTLE * (1 + attempt / 2) * random.uniform(1, 2))  # noqa: S311
        self._notice(
            "The comment on the pull request was overwritten by other jobs again and again."
        )

    def _written(
        self,
        issue: Issue,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
    ) -> bool:
        """Write once what is not written yet; return whether there was nothing to write."""
        ours = [
            comment
            for comment in issue.get_comments()
            if (comment.body or "").lstrip().startswith(marker) and self._is_ours(comment)
        ]
        made = self._made.get(pull_request)
        if made is not None and made not in [comment.id for comment in ours]:
            # A list may be older than our own write; creating a second comment would be worse.
            with _gone_is_fine():
                kept = issue.get_comment(made)
                if kept.body is not None:
                    ours.append(kept)
        ours.sort(key=lambda comment: comment.id)
        said = [_normal(comment.body or "") for comment in ours]
        text = _cut(merge(said))
        if not ours:
            self._made[pull_request] = issue.create_comment(text).id
            return False
        oldest, *doubled = ours
        stands = said[0] == _normal(text)
        with _gone_is_fine():
            if not stands:
                oldest.edit(text)
            # Only what has been merged into the oldest is deleted.
            self._made[pull_request] = oldest.id
            for comment in doubled:
                with _gone_is_fine():
                    comment.delete()
        return stands and not doubled

    def _repo(self) -> Repository:
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
                retry=bounded_retry(self._patience, self._notice, self._sleep),
                seconds_between_requests=0.0,
                seconds_between_writes=BETWEEN_WRITES,
                user_agent="slipway",
                lazy=True,
            ).get_repo(self._repository)
        return self._loaded

    def _add_status(
        self,
        deployment: GitHubDeployment,
        state: str,
        description: str,
        log_url: str | None = None,
        environment_url: str | None = None,
    ) -> None:
        short = " ".join(description.split())
        if len(short) > MAX_DESCRIPTION:
            short = short[: MAX_DESCRIPTION - 1] + "…"
        # PyGithub has no `log_url`; `target_url` is the older name of the same thing.
        named = {"target_url": log_url, "environment_url": environment_url}
        urls: dict[str, Any] = {name: url for name, url in named.items() if url is not None}
        deployment.create_status(state=state, description=short, **urls)

    def _retire_before(self, newest: Deployment) -> None:
        page = self._repo().get_deployments(environment=newest.environment).get_page(0)
        older = [made for made in page if made.id < newest.id and made.production_environment]
        for made in older[:MAX_OLDER]:
            latest = next(iter(made.get_statuses()), None)
            if latest is not None and latest.state == "success":
                self._add_status(made, "inactive", "Replaced by a newer deployment")

    def _is_ours(self, comment: IssueComment) -> bool:
        """Whether the token wrote this comment: anybody may write a marker."""
        if self._author is None:
            self._author = self._login()
        if self._author:
            return bool(comment.user.login == self._author)
        return bool(comment.user.type == "Bot")

    def _login(self) -> str:
        """Return who the token writes as; empty for an app's token, which may not ask."""
        from github import GithubException  # noqa: PLC0415

        try:
            _, user = self._repo().requester.requestJsonAndCheck("GET", "/user")
        except GithubException:
            return ""
        return str(user.get("login") or "")

    @contextmanager
    def _asking(
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


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """Pass over a comment that another job or a person has deleted meanwhile."""
    from github import UnknownObjectException  # noqa: PLC0415

    with suppress(UnknownObjectException):
        yield


def _cut(text: str) -> str:
    return text if len(text) <= MAX_COMMENT else text[: MAX_COMMENT - len(CUT)] + CUT


def _normal(text: str) -> str:
    """Return text as GitHub may keep it: line ends and outer space are not ours to compare."""
    return text.replace("\r\n", "\n").strip()
