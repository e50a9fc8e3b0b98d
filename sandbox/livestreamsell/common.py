"""What both applications share: the health check, and errors at the rate the build has."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.settings import Behaviour, Settings

Handler = Callable[[Request], Awaitable[Response]]
_WINDOW = 2.0
"""Seconds over which requests per second are counted."""


def health(settings: Settings, service: str, sick_now: Callable[[], bool] = bool) -> Route:
    """Return ``GET /healthz``: 200 with the build, or 503 where the build is unhealthy.

    ``sick_now``: whether it is for what it depends on.
    """
    started = time.monotonic()
    behaviour = settings.behaviour

    async def healthz(_: Request) -> Response:
        sick_from = behaviour.unhealthy_after
        since = time.monotonic() - started
        sick = behaviour.unhealthy or (sick_from is not None and since >= sick_from) or sick_now()
        body = {
            "build": settings.build,
            "version": settings.version,
            "service": service,
            "instance": settings.instance,
        }
        return JSONResponse(body, status_code=503 if sick else 200)

    return Route("/healthz", healthz)


class Errors:
    """Which of the application requests of one instance fail."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._started = time.monotonic()
        self._came: deque[float] = deque()
        self.of_store = 0.0
        """Share (0 to 1) of what is asked of the store that it fails, whatever the build."""

    def next(self) -> str | None:
        """Count a request that has just come; return why it fails, if it does."""
        now = time.monotonic()
        self._came.append(now)
        while self._came[0] <= now - _WINDOW:
            self._came.popleft()
        if random.random() < self._of_build(now):
            return "this build is broken"
        return "the store does not answer" if random.random() < self.of_store else None

    def _of_build(self, now: float) -> float:
        after, above = self._behaviour.errors_after, self._behaviour.errors_above
        if after is not None and now - self._started < after:
            return 0.0
        if above is not None and len(self._came) / _WINDOW <= above:
            return 0.0
        return self._behaviour.error_rate


def failing(errors: Errors, handler: Handler) -> Handler:
    """Answer 500 instead of calling ``handler`` where ``errors`` says so."""

    async def answer(request: Request) -> Response:
        why = errors.next()
        if why is not None:
            return JSONResponse({"error": why}, status_code=500)
        return await handler(request)

    return answer
