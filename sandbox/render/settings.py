"""The configuration of the sandbox's Render: one YAML or JSON file, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

OverlapPolicy = Literal["wait", "override"]
Rollout = Literal["one-by-one", "all-at-once"]
Section = TypeVar("Section")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds. The defaults are fast; Render's own are in each field's description."""

    build: float = 1.0
    """Length of a git build (Render: minutes, 120 at most)."""
    start_poll: float = 0.1
    """Between two health checks of an instance that starts (every few seconds)."""
    drain: float = 1.0
    """From the switch of traffic to SIGTERM for the old instance (60)."""
    shutdown_delay: float = 5.0
    """From SIGTERM to SIGKILL (30)."""
    health_interval: float = 1.0
    """Between two health checks of a running instance."""
    health_timeout: float = 5.0
    """Of one health check (5)."""
    start_deadline: float = 20.0
    """An instance that is not healthy by then fails its deploy (900)."""
    unroute_after: float = 3.0
    """Consecutive failures for so long take a running instance out of routing (15)."""
    restart_after: float = 12.0
    """Consecutive failures for so long restart it (60)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per window. Documented at https://api-docs.render.com/reference/rate-limiting."""

    service_writes: int = 10
    """Deploy, rollback, PATCH, scale, suspend and resume of one service."""
    reads: int = 400
    other_writes: int = 30
    window: float = 60.0
    """Seconds."""
    retry_after: bool = True
    """Whether a 429 says when to come back; Render does not promise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """An image in the registry."""

    ref: str
    """``host/name@sha256:<64 hex>``."""
    commit: str
    version: str = "dev"
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    tag: str | None = None
    """A tag that points at it, if any; ``latest`` always is the newest of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """One web service."""

    id: str
    name: str
    app: Literal["bot", "dashboard"]
    port: int
    """Of its public URL, on 127.0.0.1."""
    history: list[str]
    """Image references or commits, oldest first; the last one is live at the start."""
    type: str = "web_service"
    runtime: str = "image"
    image: str | None = None
    repo: str | None = None
    branch: str = "main"
    rootDir: str = ""
    num_instances: int = 1
    health_path: str = "/healthz"
    auto_deploy: Literal["yes", "no"] = "no"
    env: dict[str, str] = field(default_factory=dict)
    plan: str = "standard"
    region: str = "frankfurt"
    start_command: str = ""
    """As set at Render; what the sandbox starts is ``app`` in any case."""
    autoscaling: Mapping[str, Any] | None = None
    """``enabled``, ``min``, ``max``, and Render's ``criteria`` where they matter."""
    disk: bool = False
    maintenance: bool = False

    def __post_init__(self) -> None:
        """Raise ``ValueError`` where the service could not exist."""
        source = self.image if self.runtime == "image" else self.repo
        if not source or not self.history:
            raise ValueError(f"{self.name}: needs a history, and an image or a repo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole sandbox."""

    port: int
    state_dir: Path
    services: list[ServiceSettings]
    api_key: str = field(repr=False)
    images: list[ImageSettings] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)
    limits: Limits = field(default_factory=Limits)
    overlap_policy: OverlapPolicy = "wait"
    rollout: Rollout = "one-by-one"
    """Render's documentation describes both; which one it does is not settled."""
    metrics_lag: float = 0.5
    """Seconds until a request is among the metrics. Render does not say how late they are."""
    metrics_by_status: bool = True
    """Whether the plan of the workspace includes requests by status code; else 400."""
    artifacts_kept: int | None = None
    """Builds of the latest deploys of a git-backed service that can be rolled back to; ``None``:
    all. Render keeps a number that depends on the plan."""
    artifact_gone: int = 400
    """What a rollback to a build that is gone is answered. Render does not document it."""
    slots: int = 32
    """Server slots per service at the load balancer: instances there can be at once."""

    @property
    def most_instances(self) -> int:
        """What a service may be scaled to: new, old and draining ones need a slot each."""
        return self.slots // 3


def _section(kind: type[Section], document: Mapping[str, Any], where: str) -> Section:
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(f"{where}: unknown settings: {', '.join(unknown)}")
    return kind(**document)


def load(path: Path) -> Settings:
    """Read a configuration. Raises ``ValueError`` or ``TypeError`` that names what is wrong."""
    document = dict(yaml.safe_load(path.read_text()))
    document["state_dir"] = Path(document["state_dir"])
    document["timings"] = _section(Timings, document.get("timings") or {}, "timings")
    document["limits"] = _section(Limits, document.get("limits") or {}, "limits")
    document["images"] = [
        _section(ImageSettings, each, "images") for each in document.get("images") or []
    ]
    document["services"] = [
        _section(ServiceSettings, each, "services") for each in document["services"]
    ]
    return _section(Settings, document, "configuration")
