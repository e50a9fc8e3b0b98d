"""Render's rate limits: fixed windows, told in three headers on every answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sandbox.render.settings import Limits

_SERVICE_WRITES = {
    ("POST", "deploys"),
    ("POST", "rollback"),
    ("POST", "scale"),
    ("POST", "suspend"),
    ("POST", "resume"),
    ("PATCH", ""),
}
"""Method and what follows ``/services/{id}``. Whether rollback is one of them is not documented;
the stricter answer is the safer one to be tested against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is left of a bucket after a request."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    """Seconds until the window ends, rounded up: what is recorded from Render (its documentation
    says epoch seconds, and no recording has them)."""

    def headers(self) -> dict[str, str]:
        """Return Render's headers."""
        return {
            "Ratelimit-Limit": str(self.limit),
            "Ratelimit-Remaining": str(self.remaining),
            "Ratelimit-Reset": str(self.reset),
        }


class RateLimits:
    """Counts the requests of one user. Times are monotonic seconds, given by the caller."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[str, tuple[float, int]] = {}

    def _bucket(self, method: str, path: str) -> tuple[str, int]:
        if method == "GET":
            return "reads", self._limits.reads
        service, _, verb = path.removeprefix("/v1/services/").partition("/")
        if (method, verb) in _SERVICE_WRITES:
            return f"service {service}", self._limits.service_writes
        return "writes", self._limits.other_writes

    def count(self, method: str, path: str, at: float, *, free: bool = False) -> Standing:
        """Count one request; a ``free`` one uses nothing up (it is nobody's)."""
        name, limit = self._bucket(method, path)
        began, used = self._windows.get(name, (at, 0))
        if at - began >= self._limits.window:
            began, used = at, 0
        allowed = used < limit
        used += allowed and not free
        self._windows[name] = (began, used)
        return Standing(
            allowed=allowed,
            limit=limit,
            remaining=limit - used,
            reset=math.ceil(began + self._limits.window - at),
        )
