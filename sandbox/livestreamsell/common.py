"""What both applications share: the health check, and errors at the rate the build has."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.settings import Settings

Handler = Callable[[Request], Awaitable[Response]]


def health(settings: Settings, service: str) -> Route:
    """Return ``GET /healthz``: 200 with the build, or 503 where the build is unhealthy."""
    started = time.monotonic()
    behaviour = settings.behaviour

    async def healthz(_: Request) -> Response:
        sick_from = behaviour.unhealthy_after
        sick = behaviour.unhealthy or (
            sick_from is not None and time.monotonic() - started >= sick_from
        )
        body = {
            "build": settings.build,
            "version": settings.version,
            "service": service,
            "instance": settings.instance,
        }
        return JSONResponse(body, status_code=503 if sick else 200)

    return Route("/healthz", healthz)


def failing(settings: Settings, handler: Handler) -> Handler:
    """Answer 500 instead of calling ``handler`` for ``error_rate`` of the requests."""
    rate = settings.behaviour.error_rate

    async def answer(request: Request) -> Response:
        if random.random() < rate:
            return JSONResponse({"error": "this build is broken"}, status_code=500)
        return await handler(request)

    return answer
