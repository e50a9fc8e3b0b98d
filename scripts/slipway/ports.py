"""The seams: what a release needs from the outside, and the facts that cross them.

Decisions in ``slipway.release`` see only these. ``slipway.clients`` implements them over HTTP;
tests implement them in memory, on a virtual clock. Every method raises
:class:`slipway.errors.OutsideError` (or a subclass) when the other side does not answer as
documented, and never returns a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running instance. Render says nothing about its health or its build."""

    id: str
    created_at: datetime


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
        """Redeploy the build artefact of an earlier deploy. Render restores its environment too."""
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


class Phase(StrEnum):
    """Where a canary release is (design: the record)."""

    STABLE = "stable"
    DEPLOYING = "deploying"
    CANARY = "canary"
    BAKING = "baking"
    SETTLING = "settling"
    ROLLING_BACK = "rolling_back"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who drives a release: a workflow run and its attempt."""

    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is true about a canary release: the flag's payload. Holds nothing confidential."""

    release: str
    candidate: str
    """Digest or commit."""
    stable_build: str
    stable_deploy: str
    phase: Phase
    share: float
    """Percent of sellers on the canary track, 0 to 100."""
    holder: Holder
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """The flag that carries the record, as read."""

    id: int
    key: str
    version: int
    active: bool
    filters: Mapping[str, Any]
    """Exactly as read: a later write sends it back for compare-and-set."""
    share: float
    """``rollout_percentage`` of the only group; 0 when there is none."""
    record: Record | None
    """``None``: no payload, or one this version cannot read."""


class FlagStore(Protocol):
    """PostHog's feature flags: the release record."""

    def read(self, key: str) -> Flag | None:
        """Read the flag with exactly this key; ``None`` if there is none."""
        ...

    def create(self, key: str) -> Flag:
        """Create the flag: inactive, at 0 %, without a record."""
        ...

    def write(self, flag: Flag, record: Record, *, activate: bool = False) -> Flag:
        """Write share and record if the flag is still as read, and read it back.

        Sends ``active`` only with ``activate``. Raises :class:`slipway.errors.FlagConflict`.
        """
        ...

    def kill(self, flag: Flag) -> None:
        """Inactive, 0 %, no payload: unconditional, so that every older write conflicts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeState:
    """What the edge does now."""

    share: float
    """Effective percent of sellers on the canary track."""
    flag: str | None
    """Key of the flag it follows."""
    flag_version: int | None
    phase: str | None
    release: str | None
    candidate: str | None
    """Digest or commit, from the record the edge has."""
    lease_release: str | None
    lease_remaining: float
    """Seconds; 0 when nobody holds the lease."""
    killed: str | None
    """The release that was killed here and is still latched."""
    why: str
    """One sentence: why the share is what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests and errors of one track."""

    requests: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeCounts:
    """The edge's counters since ``epoch`` began. Another epoch: the counters restarted."""

    epoch: str
    stable: Counts
    canary: Counts


class Edge(Protocol):
    """The edge in front of both tracks."""

    def state(self) -> EdgeState:
        """Read what the edge does now."""
        ...

    def counts(self) -> EdgeCounts:
        """Read the counters."""
        ...

    def renew(self, release: str, holder: Holder, ttl: float) -> EdgeState:
        """Take or renew the lease for ``ttl`` seconds. ``Refused``: another holder has it."""
        ...

    def give_back(self, release: str, holder: Holder) -> None:
        """End the lease. Idempotent."""
        ...

    def refresh(self, version: int, timeout: float) -> EdgeState:
        """Have the edge read the flag until it has applied ``version``, ``timeout`` s at most."""
        ...

    def kill(self, release: str | None, reason: str) -> EdgeState:
        """Share 0 at once, latched against this release."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a probe saw."""

    url: str
    status: int | None
    """``None``: no HTTP answer (refused, reset, timed out)."""
    seconds: float
    build: str | None
    """The build the answer names, where it names one."""
    error: str | None = None


class Prober(Protocol):
    """Plain HTTP GETs, as a user would make them."""

    def probe(self, url: str, *, timeout: float) -> Answer:
        """GET ``url``. Never raises for what the other side does: the answer says it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A GitHub Deployment."""

    id: int
    environment: str


class Forge(Protocol):
    """GitHub, where people look."""

    def start_deployment(
        self, *, ref: str, environment: str, task: str, payload: Mapping[str, Any], production: bool
    ) -> Deployment:
        """Create a Deployment (``auto_merge: false``, ``required_contexts: []``)."""
        ...

    def set_status(
        self,
        deployment: Deployment,
        state: str,
        *,
        description: str,
        log_url: str | None,
        environment_url: str | None,
    ) -> None:
        """Add a status: ``in_progress``, ``success``, ``failure``, ``error``, ``inactive``.

        ``log_url`` is the run, ``environment_url`` what GitHub's "View deployment" opens.
        """
        ...

    def pull_request(self, commit: str) -> int | None:
        """Return the number of the pull request that brought ``commit``, if any."""
        ...

    def comment(
        self,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
        *,
        certain: bool,
    ) -> None:
        """Keep one comment of ours that begins with ``marker``, among others who write it too.

        ``merge`` gets what our comments say, the oldest first (there are several only where two
        jobs created one at the same time), and returns what the one should say. Where nothing is
        left to do it returns what it was given. ``certain``: wait, read back, and write again where
        another job has overwritten it.
        """
        ...


class Clock(Protocol):
    """Time, and the way to be stopped."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Raises :class:`slipway.errors.Aborted` when the job is being cancelled."""
        ...

    def shielded(self) -> AbstractContextManager[None]:
        """Return a context in which ``sleep`` does not raise: the way back is never cancelled."""
        ...
