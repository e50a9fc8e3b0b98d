"""What is recorded: pull requests, comments, deployments and their statuses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sandbox.github.attested import Attested
from sandbox.github.trust import Trust

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
DESCRIPTION_LIMIT = 140
"""Characters in the description of a deployment status (GitHub's OpenAPI description)."""
BODY_LIMIT = 65536
"""Characters in a comment."""
_SHA = re.compile(r"[0-9a-f]{40}")


class Invalid(ValueError):
    """The body is refused: 422."""

    def __init__(
        self, message: str, *, resource: str = "", field: str = "", code: str = ""
    ) -> None:
        super().__init__(message)
        self.errors = [{"resource": resource, "field": field, "code": code}] if field else []


class Conflict(ValueError):
    """GitHub will not create this deployment: 409."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request."""

    number: int
    title: str
    head_sha: str
    merge_sha: str | None
    """The commit it became on the default branch; ``None`` while it is open."""
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on a pull request."""

    id: int
    number: int
    body: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One status of a deployment."""

    id: int
    state: str
    description: str
    environment: str
    environment_url: str
    log_url: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment; ``statuses`` are oldest first."""

    id: int
    sha: str
    ref: str
    task: str
    payload: dict[str, Any] | str
    original_environment: str
    environment: str
    description: str | None
    transient: bool
    production: bool
    created_at: str
    updated_at: str
    statuses: tuple[Status, ...] = ()

    @property
    def state(self) -> str | None:
        """The latest state, ``None`` before the first status."""
        return self.statuses[-1].state if self.statuses else None


def timestamp() -> str:
    """Return the current time as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True, kw_only=True)
class Store:
    """One repository."""

    default_branch: str = "main"
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    attested: Attested = field(default_factory=Attested)
    trust: Trust = field(default_factory=Trust)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    environments: dict[str, list[str]] = field(
        default_factory=lambda: {"production": ["branch_policy"], "staging": ["branch_policy"]}
    )
    """Names, and the types of their protection rules."""
    failing_contexts: list[str] = field(default_factory=list)
    """Commit statuses that have not passed: deployments that require them conflict."""
    behind: bool = False
    """True: the refs are behind the default branch and do not merge cleanly."""
    _last_id: int = 1000

    def add_pull(self, body: Mapping[str, Any]) -> Pull:
        """Register a pull request. Raises ``KeyError``, ``ValueError``."""
        now = timestamp()
        merge_sha = body.get("merge_sha")
        pull = Pull(
            number=int(body["number"]),
            title=str(body["title"]),
            head_sha=str(body["head_sha"]),
            merge_sha=None if merge_sha is None else str(merge_sha),
            created_at=now,
            updated_at=now,
        )
        for sha in (pull.head_sha, pull.merge_sha):
            if sha is not None and not _SHA.fullmatch(sha):
                raise ValueError(f"not a commit: {sha!r}")
        self.pulls[pull.number] = pull
        return pull

    def commit(self, ref: str) -> str | None:
        """Return the commit ``ref`` names, ``None`` if none. Every 40-hex name is a commit here."""
        if _SHA.fullmatch(ref):
            return ref
        if ref.removeprefix("refs/heads/") != self.default_branch:
            return None
        merged = [pull.merge_sha for pull in self.pulls.values() if pull.merge_sha]
        return merged[-1] if merged else "0" * 39 + "1"

    def pulls_of(self, sha: str) -> list[Pull]:
        """Return the pull requests that brought ``sha``, or whose head it is."""
        return [pull for pull in self.pulls.values() if sha in (pull.head_sha, pull.merge_sha)]

    def add_comment(self, number: int, body: object) -> Comment:
        """Comment on a pull request. Raises :class:`Invalid`."""
        now = timestamp()
        comment = Comment(
            id=self._next_id(),
            number=number,
            body=_comment_body(body),
            created_at=now,
            updated_at=now,
        )
        self.comments[comment.id] = comment
        return comment

    def edit_comment(self, comment: Comment, body: object) -> Comment:
        """Replace a comment's body. Raises :class:`Invalid`."""
        edited = replace(comment, body=_comment_body(body), updated_at=timestamp())
        self.comments[comment.id] = edited
        return edited

    def add_deployment(self, body: Mapping[str, Any]) -> Deployment:
        """Create a deployment. Raises :class:`Invalid`, :class:`Conflict`."""
        _check_types(body, _DEPLOYMENT_TYPES, "Deployment")
        ref = body.get("ref")
        if not ref:
            message = 'Invalid request.\n\n"ref" wasn\'t supplied.'
            raise Invalid(message, resource="Deployment", field="ref", code="missing_field")
        sha = self.commit(ref)
        if sha is None:
            raise Invalid(f"No ref found for: {ref}")
        self._check_conflicts(body, ref)
        environment = body.get("environment", "production")
        now = timestamp()
        deployment = Deployment(
            id=self._next_id(),
            sha=sha,
            ref=ref,
            task=body.get("task", "deploy"),
            payload=body.get("payload", {}),
            original_environment=environment,
            environment=environment,
            description=body.get("description"),
            transient=body.get("transient_environment", False),
            production=body.get("production_environment", environment == "production"),
            created_at=now,
            updated_at=now,
        )
        self.deployments[deployment.id] = deployment
        return deployment

    def add_status(self, deployment: Deployment, body: Mapping[str, Any]) -> Status:
        """Add a status, and make earlier deployments inactive where GitHub does.

        Raises :class:`Invalid`.
        """
        _check_types(body, _STATUS_TYPES, "DeploymentStatus")
        if body.get("state") not in STATES:
            message = f"State must be one of {', '.join(STATES)}"
            raise Invalid(message, resource="DeploymentStatus", field="state", code="invalid")
        description = body.get("description", "")
        if len(description) > DESCRIPTION_LIMIT:
            message = f"Description is too long (maximum is {DESCRIPTION_LIMIT} characters)"
            raise Invalid(message, resource="DeploymentStatus", field="description", code="custom")
        status = self._status(
            deployment,
            state=body["state"],
            description=description,
            environment=body.get("environment", deployment.environment),
            environment_url=body.get("environment_url", ""),
            log_url=body.get("log_url", body.get("target_url", "")),
        )
        if body.get("auto_inactive", True) and status.state == "success":
            for earlier in list(self._superseded_by(self.deployments[deployment.id])):
                self._status(
                    earlier,
                    state="inactive",
                    description="",
                    environment=earlier.environment,
                    environment_url="",
                    log_url="",
                )
        return status

    def _superseded_by(self, deployment: Deployment) -> Iterator[Deployment]:
        for earlier in self.deployments.values():
            same = earlier.environment == deployment.environment and earlier.id < deployment.id
            kept = earlier.transient or earlier.production
            if same and not kept and earlier.state == "success":
                yield earlier

    def _status(self, deployment: Deployment, **values: str) -> Status:
        now = timestamp()
        status = Status(id=self._next_id(), created_at=now, **values)
        self.deployments[deployment.id] = replace(
            deployment,
            environment=status.environment,
            updated_at=now,
            statuses=(*deployment.statuses, status),
        )
        return status

    def _check_conflicts(self, body: Mapping[str, Any], ref: str) -> None:
        if self.behind and body.get("auto_merge", True):
            raise Conflict(f"Conflict merging {self.default_branch} into {ref}")
        required = body.get("required_contexts")
        if [c for c in self.failing_contexts if required is None or c in required]:
            raise Conflict(f"Conflict: Commit status checks failed for {ref}.")

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


_DEPLOYMENT_TYPES: dict[str, type | tuple[type, ...]] = {
    "ref": str,
    "task": str,
    "auto_merge": bool,
    "required_contexts": list,
    "payload": (dict, str),
    "environment": str,
    "description": (str, type(None)),
    "transient_environment": bool,
    "production_environment": bool,
}
_STATUS_TYPES: dict[str, type | tuple[type, ...]] = {
    "state": str,
    "target_url": str,
    "log_url": str,
    "description": str,
    "environment": str,
    "environment_url": str,
    "auto_inactive": bool,
}


def _check_types(
    body: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]], resource: str
) -> None:
    for name, expected in types.items():
        if name in body and not isinstance(body[name], expected):
            message = f"Invalid request.\n\nFor 'properties/{name}', {body[name]!r} is not valid."
            raise Invalid(message, resource=resource, field=name, code="invalid")


def _comment_body(body: object) -> str:
    if not isinstance(body, str) or not body.strip():
        message = "Body cannot be blank"
        raise Invalid(message, resource="IssueComment", field="body", code="missing_field")
    if len(body) > BODY_LIMIT:
        message = f"Body is too long (maximum is {BODY_LIMIT} characters)"
        raise Invalid(message, resource="IssueComment", field="body", code="unprocessable")
    return body
