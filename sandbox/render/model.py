"""What Render knows: services, deploys, instances and events. No I/O, no clock of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sandbox.render.settings import Rollout

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


def new_id(prefix: str, length: int = 20) -> str:
    """Return an identifier as Render writes them: ``dep-`` and 20 lower-case characters."""
    return f"{prefix}-" + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def now() -> datetime:
    """Return the current time, aware, UTC."""
    return datetime.now(UTC)


class Status(StrEnum):
    """A deploy's status, in Render's words."""

    CREATED = "created"
    QUEUED = "queued"
    BUILDING = "build_in_progress"
    UPDATING = "update_in_progress"
    LIVE = "live"
    DEACTIVATED = "deactivated"
    BUILD_FAILED = "build_failed"
    UPDATE_FAILED = "update_failed"
    CANCELED = "canceled"


_NEXT = {
    Status.QUEUED: {Status.CREATED, Status.CANCELED},
    Status.CREATED: {Status.BUILDING, Status.UPDATING, Status.UPDATE_FAILED, Status.CANCELED},
    Status.BUILDING: {Status.UPDATING, Status.BUILD_FAILED, Status.CANCELED},
    Status.UPDATING: {Status.LIVE, Status.UPDATE_FAILED, Status.CANCELED},
    Status.LIVE: {Status.DEACTIVATED},
}


class WrongStatus(RuntimeError):
    """A deploy was asked to go where its status does not lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a deploy deploys: an image by digest, or a commit."""

    image: str | None = None
    """``host/name@sha256:…`` (or with a tag, as it was asked for)."""
    sha: str | None = None
    """The digest the reference resolved to; ``None`` where it resolved to nothing."""
    commit: str | None = None
    """For git-backed services only."""
    message: str = ""
    committed: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What runs: the commit baked in, its label, and how it behaves."""

    commit: str
    version: str
    behaviour: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Deploy:
    """One deploy."""

    id: str = field(default_factory=lambda: new_id("dep"))
    source: Source
    trigger: str
    env: Mapping[str, str]
    """The environment it runs with: a rollback brings the target's back."""
    instances: int | None = None
    """The instance count a rollback brings back; ``None``: the service's."""
    status: Status = Status.CREATED
    shown_as: str | None = None
    """A status to show instead, where the sandbox was asked to lie."""
    target: str | None = None
    """The deploy a rollback goes back to."""
    build: Build | None = None
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    started: datetime | None = None
    finished: datetime | None = None
    scaled_to: int | None = None
    """How many instances it had when it was last live."""

    @property
    def running(self) -> bool:
        """Whether it is being carried out (a queued one is not)."""
        return self.status in {Status.CREATED, Status.BUILDING, Status.UPDATING}

    def move(self, status: Status) -> None:
        """Go to ``status``. Raises :class:`WrongStatus` where no such step exists."""
        if status not in _NEXT.get(self.status, set()):
            raise WrongStatus(f"{self.id}: {self.status} does not lead to {status}")
        self.status, self.updated = status, now()
        if self.started is None and self.running:
            self.started = self.updated
        if status not in _NEXT or status is Status.LIVE:
            self.finished = self.finished or self.updated


class InstanceState(StrEnum):
    """What an instance is doing. Render does not tell; the control interface does."""

    STARTING = "starting"
    SERVING = "serving"
    UNHEALTHY = "unhealthy"
    """Running, out of routing."""
    DRAINING = "draining"
    ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a service."""

    id: str = field(default_factory=lambda: new_id("evt"))
    at: datetime = field(default_factory=now)
    type: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Service:
    """One service: its configuration, and what has happened to it."""

    id: str
    name: str
    type: str
    runtime: str
    app: str
    port: int
    image: str | None
    repo: str | None
    branch: str
    root_dir: str
    num_instances: int
    health_path: str
    auto_deploy: str
    env: dict[str, str]
    shutdown_delay: int = 30
    suspended: bool = False
    rollout: Rollout = "one-by-one"
    autoscaling: Mapping[str, Any] | None = None
    autoscaled: int | None = None
    """How many instances autoscaling chose; ``None`` while it is off."""
    plan: str = "standard"
    region: str = "frankfurt"
    start_command: str = ""
    disk: bool = False
    """With one, old instances end before new ones start, and there is one at most."""
    maintenance: bool = False
    maintenance_uri: str = ""
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    deploys: list[Deploy] = field(default_factory=list)
    """Oldest first."""
    events: list[Event] = field(default_factory=list)
    """Oldest first."""

    @property
    def url(self) -> str:
        """Where the public reaches it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def live(self) -> Deploy:
        """The deploy that serves. There always is one: the history is not empty."""
        return next(each for each in reversed(self.deploys) if each.status is Status.LIVE)

    @property
    def running(self) -> Deploy | None:
        """The deploy that is being carried out."""
        return next((each for each in self.deploys if each.running), None)

    @property
    def queued(self) -> list[Deploy]:
        """Deploys that wait for the running one, oldest first."""
        return [each for each in self.deploys if each.status is Status.QUEUED]

    def wanted(self, deploy: Deploy) -> int:
        """Return how many instances ``deploy`` should have."""
        return self.autoscaled or deploy.instances or self.num_instances

    def note(self, kind: str, **details: Any) -> None:
        """Record an event."""
        self.events.append(Event(type=kind, details=details))

    def find(self, deploy_id: str) -> Deploy | None:
        """Return the deploy with this id."""
        return next((each for each in self.deploys if each.id == deploy_id), None)
