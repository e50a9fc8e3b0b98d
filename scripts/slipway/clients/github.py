"""GitHub: what a release tells it, and the history of Deployments that it reads there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from slipway.clients.github_comments import Comments
from slipway.clients.github_connection import API, PAGE, Connection
from slipway.clients.http import Key
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import OutsideError, SlipwayError
from slipway.ports import Comparison, Deployment, Forge, Shipped

if TYPE_CHECKING:
    from github.Deployment import Deployment as GitHubDeployment

MAX_DESCRIPTION: Final = 140
"""Characters of a deployment's description (GitHub's API description)."""
DESCRIPTION: Final = "Slipway: "
"""Begins the description of every deployment of ours."""
MAX_FILES: Final = 300
"""Files that GitHub lists of a comparison at most."""
MAX_COMMITS: Final = 250
MAX_HISTORY_PAGES: Final = 3
MAX_OLDER: Final = 10
"""Earlier deployments looked at when a new one has succeeded."""

_ENDS: Final = ("success", "failure", "error")
"""States whose description begins with the result."""


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
        self._connection = Connection(
            Key(
                value=token,
                setting=setting,
                renew="A workflow's own token is ${{ github.token }}.",
            ),
            repository=repository,
            base_url=base_url,
            patience=patience or Patience(attempts=4, read_timeout=15),
            notice=notice,
            sleep=sleep,
        )
        self._comments = Comments(self._connection, author)
        self._notice = notice
        self._asking, self._repo = self._connection.asking, self._connection.repo

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

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        """Yield Slipway's deployments of ``environment``, newest first; asked for as needed.

        Each costs a question about its statuses, but for those that are not of ``commits``.
        """
        with self._asking("read the deployments", "deployments: read"):
            listed = self._repo().get_deployments(environment=environment)
        for number in range(MAX_HISTORY_PAGES):
            with self._asking("read the deployments", "deployments: read"):
                page = listed.get_page(number)
            for made in page:
                ours = (made.description or "").startswith(DESCRIPTION)
                if ours and (commits is None or made.sha in commits):
                    yield self._shipped(made)
            if len(page) < PAGE:
                return

    def _shipped(self, made: GitHubDeployment) -> Shipped:
        with self._asking("read a deployment's status", "deployments: read"):
            statuses = list(islice(made.get_statuses(), PAGE))
            end = next((s for s in statuses if s.state in _ENDS), None)
            why = (end.description or "") if end else ""
            payload = _payload_of(made)
            return Shipped(
                id=made.id,
                build=payload.get("build"),
                commit=made.sha,
                task=made.task,
                state=statuses[0].state if statuses else "",
                result=why.partition(":")[0],
                actor=made.creator.login if made.creator else "",
                created_at=made.created_at,
                why=why,
                ended_at=end.created_at if end else None,
                release=payload.get("release", ""),
                run=payload.get("run", ""),
                unlocks=payload.get("unlocks"),
            )

    def compare(self, base: str, head: str) -> Comparison:
        """Compare two commits. More than 300 files, or 250 commits, are not all listed."""
        with self._asking("compare two commits", "contents: read"):
            found = self._repo().compare(base, head)
            files = found.files
            # A file that was moved away from a folder has changed that folder too.
            names = [name for file in files for name in (file.previous_filename, file.filename)]
            commits = list(islice(found.commits, MAX_COMMITS))
            return Comparison(
                status=found.status,
                files=tuple(filter(None, names)) if len(files) < MAX_FILES else None,
                commits=tuple(commit.sha for commit in commits),
                messages=tuple(commit.commit.message for commit in commits),
                more=found.total_commits > len(commits),
            )

    def presser(self, run_id: str) -> str:
        """Return who started this run, or whose token it is (``run_id`` empty).

        ``triggering_actor`` of a run is who pressed last, a re-run included.
        """
        aim = "see who asks for it"
        if not run_id:
            with self._asking(aim, "a token of your own"):
                name = self._connection.login()
        else:
            with self._asking(aim, "actions: read"):
                actor = self._repo().get_workflow_run(int(run_id)).triggering_actor
                name = actor.login if actor else ""
        if not name:
            raise OutsideError(
                f"GitHub: to {aim}: no name in the answer",
                remedy="Give a token of your own at a terminal; in a workflow `actions: read`.",
            )
        return name

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
        """Keep the one comment that begins with ``marker`` and was written by us."""
        self._comments.keep(pull_request, marker, merge, certain=certain)

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


def _payload_of(made: GitHubDeployment) -> Mapping[str, str]:
    """Return the texts of the payload; one that is not ours has none."""
    from github import BadAttributeException  # noqa: PLC0415 - see github_connection

    try:
        payload: object = made.payload
    except BadAttributeException:  # text, where PyGithub expects an object
        return {}
    pairs = payload.items() if isinstance(payload, dict) else ()
    return {str(name): value for name, value in pairs if isinstance(value, str)}
