"""The AI sales bot: Meta is acknowledged at once, the reply follows when the AI has answered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.common import failing, health
from sandbox.livestreamsell.settings import Settings

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 60)
"""Seconds. They reach beyond the objective (10 s), or a quantile could never show a breach."""


class Replies:
    """Replies under way, and what is counted about them. ``idle()`` before the process may end."""

    def __init__(self, settings: Settings) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self.registry = CollectorRegistry()
        self._replies = self._counter("bot_replies", "Replies sent to a buyer.")
        self._ai_calls = self._counter("ai_calls", "Calls of the AI.")
        self._seconds = Histogram(
            "bot_reply_seconds",
            "From Meta's delivery to the reply.",
            ["build"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._seconds.labels(build=settings.build)

    def _counter(self, name: str, text: str) -> Counter:
        counter = Counter(name, text, ["build", "slow"], registry=self.registry)
        for slow in ("true", "false"):
            counter.labels(build=self._settings.build, slow=slow)
        return counter

    def begin(self) -> None:
        """Reply in the background to the delivery that has just come."""
        task = asyncio.create_task(self._reply(time.monotonic()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def idle(self) -> bool:
        """Return whether every delivery that was acknowledged has been replied to."""
        return not self._tasks

    async def _reply(self, received: float) -> None:
        called = time.monotonic()
        await asyncio.sleep(self._settings.ai_mean * random.uniform(0.5, 1.5))
        answered = time.monotonic()
        self._count(self._ai_calls, answered - called)
        self._count(self._replies, answered - received)
        self._seconds.labels(build=self._settings.build).observe(answered - received)

    def _count(self, counter: Counter, seconds: float) -> None:
        slow = "true" if seconds > self._settings.slow_seconds else "false"
        counter.labels(build=self._settings.build, slow=slow).inc()


def signature(secret: str, body: bytes) -> str:
    """Return what Meta puts into ``X-Hub-Signature-256`` for this raw body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def create(settings: Settings) -> tuple[Starlette, Replies]:
    """Return the application and its replies."""
    replies = Replies(settings)

    async def index(request: Request) -> Response:
        seller = request.headers.get("x-seller-id")
        return JSONResponse(
            {"service": "bot", "path": request.url.path, "seller": seller, "build": settings.build}
        )

    async def handshake(request: Request) -> Response:
        query = request.query_params
        known = bool(settings.verify_token) and hmac.compare_digest(
            query.get("hub.verify_token", "").encode(), settings.verify_token.encode()
        )
        if query.get("hub.mode") != "subscribe" or not known:
            return PlainTextResponse("forbidden", status_code=403)
        return PlainTextResponse(query.get("hub.challenge", ""))

    async def delivery(request: Request) -> Response:
        body = await request.body()
        given = request.headers.get("x-hub-signature-256", "")
        expected = signature(settings.app_secret, body)
        if not settings.app_secret or not hmac.compare_digest(given.encode(), expected.encode()):
            return PlainTextResponse("bad signature", status_code=401)
        replies.begin()
        return PlainTextResponse("EVENT_RECEIVED")

    async def metrics(_: Request) -> Response:
        return Response(
            generate_latest(replies.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    anything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes = [
        health(settings, "bot"),
        Route("/metrics", metrics),
        Route("/webhooks/meta", handshake, methods=["GET"]),
        Route("/webhooks/meta", failing(settings, delivery), methods=["POST"]),
        Route("/", failing(settings, index)),
        Route("/api/{path:path}", failing(settings, index), methods=anything),
    ]
    return Starlette(routes=routes), replies
