"""One uvicorn that ends without losing a request it was given."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_QUIET = 0.15
"""Seconds without a request after which nobody is taken to be on the way any more."""
_PATIENCE = 25.0
"""Seconds an ending instance waits at most; Render kills after 30 by default."""


class InFlight:
    """Counts requests, and closes keep-alive connections once ``closing`` is set."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._count = 0
        self._last = time.monotonic()
        self.closing = False

    def quiet(self) -> bool:
        """Return whether nothing is being answered and nothing has come lately."""
        return not self._count and time.monotonic() - self._last > _QUIET

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closing_send(message: Message) -> None:
            if self.closing and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        self._count += 1
        try:
            await self._app(scope, receive, closing_send)
        finally:
            self._count -= 1
            self._last = time.monotonic()


class _Server(uvicorn.Server):
    """A server whose signals are ours: uvicorn's own handler would close the door at once."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    headers: list[tuple[str, str]],
    idle: Callable[[], bool],
    beside: Callable[[], Coroutine[Any, Any, None]] | None,
    crash_after: float | None,
) -> None:
    """Serve ``app`` until SIGTERM or SIGINT, then until nothing is in flight and ``idle()``.

    ``beside`` runs all that time, and is cancelled then.
    """
    counted = InFlight(app)
    config = uvicorn.Config(
        counted,
        headers=headers,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
    )
    server = _Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if crash_after is not None:
        loop.call_later(crash_after, os._exit, 1)

    async def leave() -> None:
        await stop.wait()
        counted.closing = True
        deadline = loop.time() + _PATIENCE
        while not (counted.quiet() and idle()) and loop.time() < deadline:
            await asyncio.sleep(0.02)
        server.should_exit = True

    running = [asyncio.create_task(leave())]
    if beside is not None:
        running.append(asyncio.create_task(beside()))
    await server.serve(sockets=[listener])
    for task in running:
        task.cancel()
