"""The AI sales bot: Meta is acknowledged at once, the reply follows when the AI has answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.common import Errors, failing, health
from sandbox.livestreamsell.meta import Webhook
from sandbox.livestreamsell.outside import Outside
from sandbox.livestreamsell.settings import Settings

if TYPE_CHECKING:
    from sandbox.livestreamsell.orders import Orders

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 60)
"""Seconds. They reach beyond the objective (10 s), or a quantile could never show a breach."""

ORDERS = "/api/orders"
"""Whoever asks for this, a seller or a test, has ordered something."""
_STORE_EVERY = 0.3
"""Seconds between two looks at the store."""


class Replies:
    """Replies under way, and what is counted about them. ``idle()`` before the process may end."""

    def __init__(self, settings: Settings, outside: Outside | None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._settings = settings
        self._outside = outside
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
        await self._ask_ai()
        self._count(self._ai_calls, time.monotonic() - called, self._settings.slow_seconds)
        await asyncio.sleep(self._settings.behaviour.reply_delay)
        seconds = time.monotonic() - received
        self._count(self._replies, seconds, self._settings.reply_slow_seconds)
        self._seconds.labels(build=self._settings.build).observe(seconds)

    async def _ask_ai(self) -> None:
        if self._outside is None:
            await asyncio.sleep(self._settings.ai_mean * random.uniform(0.5, 1.5))
        else:
            await self._outside.reply(self._settings.behaviour.ai_seconds or 0.0)

    def _count(self, counter: Counter, seconds: float, limit: float) -> None:
        slow = "true" if seconds > limit else "false"
        counter.labels(build=self._settings.build, slow=slow).inc()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """One instance of the bot."""

    app: Starlette
    idle: Callable[[], bool]
    """Whether every delivery that was acknowledged has been replied to."""
    beside: Callable[[], Coroutine[Any, Any, None]] | None
    """What goes on all the time beside it, until it is cancelled."""


def create(settings: Settings) -> Bot:
    """Return the bot."""
    outside = Outside(settings.provider_url) if settings.provider_url else None
    replies, errors = Replies(settings, outside), Errors(settings.behaviour)
    orders = _orders(settings)
    webhook = Webhook(settings, replies.registry, replies.begin)

    def without_its_part() -> bool:
        return bool(settings.behaviour.part) and errors.of_store >= 1

    async def follow_store() -> None:
        while outside is not None:
            errors.of_store = await outside.store_error_rate(settings.behaviour.part)
            await asyncio.sleep(_STORE_EVERY)

    async def index(request: Request) -> Response:
        seller = request.headers.get("x-seller-id")
        if orders is not None and seller and request.url.path == ORDERS:
            orders.take(seller)
        return JSONResponse(
            {"service": "bot", "path": request.url.path, "seller": seller, "build": settings.build}
        )

    async def metrics(_: Request) -> Response:
        return Response(
            generate_latest(replies.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    anything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes = [
        health(settings, "bot", without_its_part),
        Route("/metrics", metrics),
        Route("/webhooks/meta", webhook.handshake, methods=["GET"]),
        Route("/webhooks/meta", failing(errors, webhook.delivery), methods=["POST"]),
        Route("/", failing(errors, index)),
        Route("/api/{path:path}", failing(errors, index), methods=anything),
    ]

    async def beside() -> None:
        await asyncio.gather(follow_store(), *([orders.write()] if orders else []))

    return Bot(
        app=Starlette(routes=routes),
        idle=lambda: replies.idle() and (orders is None or orders.idle()),
        beside=beside if outside is not None or orders is not None else None,
    )


def _orders(settings: Settings) -> Orders | None:
    if not settings.database_url:
        return None
    from sandbox.livestreamsell.orders import Orders  # noqa: PLC0415 - with the driver

    return Orders(settings)
