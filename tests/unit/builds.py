"""Builds by name: their digests and commits, and how they behave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slipway.ports import Artifact, Holder

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
STABLE, CANARY, STAGING = "srv-stable", "srv-canary", "srv-staging"
HOLDER = Holder(run_id="77", attempt=1)
OTHER = Holder(run_id="88", attempt=1)
IMAGE = "registry.example/bot"


def digest(name: str) -> str:
    return "sha256:" + name.encode().hex().ljust(64, "0")


def commit_of(name: str) -> str:
    return name.encode().hex().ljust(40, "0")


def image(name: str) -> Artifact:
    return Artifact(kind="image", reference=f"{IMAGE}@{digest(name)}", commit=commit_of(name))


@dataclass
class Build:
    """How a build behaves."""

    name: str
    error_rate: float = 0.0
    error_rate_under_load: float | None = None
    """Above half of the traffic."""
    healthy: bool = True
    becomes_live: bool = True
    status: str | None = None
    """Ends in this status instead of live."""
    sick_after: float | None = None
    """Seconds after it went live."""
    cuts: int = 0
    """Answers on the kept-alive connection that are cut, once its first instance has come."""
    closes: int = 0
    """Kept-alive connections that are found closed then."""
    forgets: bool = False
    """Whether it has no file of the page before."""
    nameless: bool = False
    """Its answers do not say which build it is."""
    drops: int = 0
    """Probes that get 502 once the first of its instances has come."""
    pages: dict[str, Callable[[float], tuple[int, str]]] = field(default_factory=dict)
    """By path: the status and the text that it answers, seconds after it went live. Other paths
    answer as the health check does."""
