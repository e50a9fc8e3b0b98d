"""Render: what a release reads there and asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol


class DeployStatus(StrEnum):
    """Render's eleven deploy statuses (schema ``deployStatus``), and ours for all others."""

    CREATED = "created"
    QUEUED = "queued"
    BUILDING = "build_in_progress"
    PRE_DEPLOYING = "pre_deploy_in_progress"
    UPDATING = "update_in_progress"
    LIVE = "live"
    DEACTIVATED = "deactivated"
    BUILD_FAILED = "build_failed"
    PRE_DEPLOY_FAILED = "pre_deploy_failed"
    UPDATE_FAILED = "update_failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"

    @property
    def running(self) -> bool:
        """True while the deploy may still become live."""
        return self in _RUNNING

    @property
    def failed(self) -> bool:
        """True when the deploy ended without ever having been live."""
        return self in _FAILED


_RUNNING = frozenset(
    {
        DeployStatus.CREATED,
        DeployStatus.QUEUED,
        DeployStatus.BUILDING,
        DeployStatus.PRE_DEPLOYING,
        DeployStatus.UPDATING,
    }
)
_FAILED = frozenset(
    {
        DeployStatus.BUILD_FAILED,
        DeployStatus.PRE_DEPLOY_FAILED,
        DeployStatus.UPDATE_FAILED,
        DeployStatus.CANCELED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A build, by a name that cannot move: an image digest or a commit."""

    kind: Literal["image", "commit"]
    reference: str
    """What Render is asked to deploy: ``host/name@sha256:<64 hex>``, or a 40-hex commit."""
    commit: str | None
    """The commit baked into the build (what the running build answers), where it is known."""

    @property
    def identity(self) -> str:
        """What a deploy is compared by: the digest (``sha256:…``) or the commit."""
        return self.reference.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """Between how many instances Render chooses by itself."""

    enabled: bool
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Render service, as far as a release needs to know it."""

    id: str
    name: str
    type: str
    """``web_service``, ``private_service``, …"""
    image_backed: bool
    suspended: bool
    auto_deploy: bool
    url: str | None
    instances: int
    """The configured instance count."""
    image_path: str | None = None
    """What is configured, for image-backed services: host, name, and a tag or digest."""
    branch: str | None = None
    health_path: str | None = None
    dashboard_url: str | None = None
    plan: str | None = None
    """The instance type: ``free``, ``starter``, ``standard``, …"""
    region: str | None = None
    autoscaling: Autoscaling | None = None
    """``None``: none is configured. While it is on, Render ignores a scale request."""
    disk: bool = False
    """Whether a disk is attached: Render then stops the old instance before the new one starts."""
    maintenance: bool = False
    """Whether Render answers everybody with its maintenance page (503)."""
    start_command: str | None = None
    """The start or Docker command, where one is set."""
    pre_deploy_command: str | None = None
    shutdown_delay: int | None = None
    """Seconds an instance gets to end after SIGTERM; ``None``: Render's 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """One deploy of one service."""

    id: str
    status: DeployStatus
    raw_status: str
    """The status as Render wrote it: shown when ``status`` is ``UNKNOWN``."""
    identity: str | None
    """Digest or commit; ``None`` until Render says it (both may be null on a new deploy)."""
    reference: str | None
    """What to deploy to get this build again; for images ``host/name@sha256:…``."""
    trigger: str | None
    created_at: datetime
    finished_at: datetime | None
    pinned: bool = True
    """Whether it was deployed by a name that cannot move: Render pulls an image by a tag again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running instance. Render says nothing about its health or its build."""

    id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a service (``GET /services/{id}/events``)."""

    id: str
    type: str
    """As Render names it: ``server_failed``, ``maintenance_started``, …"""
    at: datetime
    instance: str | None = None
    unhealthy: str | None = None
    """Of a ``server_failed``: what Render's health check found, where it was the health check."""
    crashed: str | None = None
    """Of a ``server_failed``: how the process ended, where it ended by itself."""
    evicted: bool = False
    """Of a ``server_failed``: whether Render took the instance away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests of one service by its public address, as Render counts them.

    Whether Render's values are counts or rates is not documented: use their ratio, and take them
    for counts only where too small a count is the safe side.
    """

    total: float
    errors: float
    """Those answered with 5xx."""


class Platform(Protocol):
    """Render."""

    def service(self, service_id: str) -> Service:
        """Read a service."""
        ...

    def deploys(self, service_id: str, *, limit: int = 20) -> Sequence[Deploy]:
        """Return the latest deploys, newest first (Render promises no order: sorted here)."""
        ...

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """Read one deploy."""
        ...

    def start_deploy(self, service_id: str, artifact: Artifact) -> Deploy | None:
        """Ask for a deploy. ``None``: queued (202, no body); the caller must find it."""
        ...

    def roll_back(self, service_id: str, deploy_id: str) -> Deploy:
        """Redeploy the build artefact of an earlier deploy. Render restores its environment too.

        Raises :class:`slipway.errors.BuildGone` where Render no longer has it.
        """
        ...

    def cancel_deploy(self, service_id: str, deploy_id: str) -> None:
        """Cancel a running deploy. Not an error when it has already ended."""
        ...

    def instances(self, service_id: str) -> Sequence[Instance]:
        """Return the running instances."""
        ...

    def scale(self, service_id: str, instances: int) -> None:
        """Set the instance count. Render ignores it while autoscaling is on."""
        ...

    def disable_auto_deploy(self, service_id: str) -> None:
        """Stop Render from deploying new commits by itself."""
        ...

    def env_vars(self, service_id: str) -> Mapping[str, str]:
        """Return a fingerprint of the value of each environment variable: never the value.

        Fingerprints of two services can be compared within one process, and with nothing else.
        """
        ...

    def events(self, service_id: str, *, since: datetime) -> Sequence[Event]:
        """Return what happened to the service since then, oldest first."""
        ...

    def requests(self, service_id: str, *, since: datetime, until: datetime) -> Requests | None:
        """Return what Render's metrics say of a time; ``None``: nothing (yet).

        Raises :class:`slipway.errors.NotOnThisPlan` where the workspace may not ask.
        """
        ...
