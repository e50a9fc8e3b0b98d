"""What the sandbox's HTTP servers share: listening on loopback, and answering badly on request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

START_DEADLINE = 10.0
"""Seconds a server may take from `start` to its first answer."""


class BadRequestBody(ValueError):
    """The body is not a JSON object."""


async def json_object(request: Request) -> dict[str, Any]:
    """Read the body as a JSON object. Raises :class:`BadRequestBody`."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise BadRequestBody(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestBody("a JSON object is expected")
    return body


@dataclass(slots=True)
class Fault:
    """Answer ``status`` to requests under ``path_prefix``, after ``delay`` seconds.

    A delay longer than any caller waits is a black hole.
    """

    status: int
    path_prefix: str
    times: int | None
    """How many more requests it hits; ``None``: until cleared."""
    delay: float
    method: str | None = None
    """Only requests with this method; ``None``: any."""


class Faults:
    """The faults in force. The newest one that fits a path wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def order(self, body: Mapping[str, Any]) -> None:
        """Add the fault ``body`` describes; ``{"clear": true}`` removes all.

        Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else.
        """
        if body.get("clear"):
            self._faults.clear()
            return
        times = body.get("times")
        fault = Fault(
            status=int(body["status"]),
            path_prefix=str(body.get("path_prefix", "/")),
            times=None if times is None else int(times),
            delay=float(body.get("delay", 0.0)),
            method=str(body["method"]).upper() if body.get("method") else None,
        )
        if not 400 <= fault.status <= 599 or fault.delay < 0:
            raise ValueError("status is 400 to 599, delay is not negative")
        self._faults.insert(0, fault)

    def take(self, path: str, method: str = "GET") -> Fault | None:
        """Return the fault that hits a request for ``path`` now, using up one of its times."""
        for fault in self._faults:
            if not path.startswith(fault.path_prefix) or fault.times == 0:
                continue
            if fault.method not in (None, method):
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    def active(self) -> list[dict[str, Any]]:
        """Return the faults that can still hit, for `/_sandbox/state`."""
        return [asdict(f) for f in self._faults if f.times != 0]


class FaultMiddleware:
    """Answers in place of the application while a fault is in force. Control paths never fail."""

    def __init__(self, app: ASGIApp, faults: Faults, answer: Callable[[int], Response]) -> None:
        self._app = app
        self._faults = faults
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = scope.get("path", "")
        fault = None
        if scope["type"] == "http" and not path.startswith("/_sandbox/"):
            fault = self._faults.take(path, scope["method"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay)
        await self._answer(fault.status)(scope, receive, send)


async def order_fault(faults: Faults, body: Mapping[str, Any]) -> Response:
    """Handle the common part of ``POST /_sandbox/fault``."""
    try:
        faults.order(body)
    except (KeyError, TypeError, ValueError) as error:
        return JSONResponse({"error": f"not a fault: {error!r}"}, 400)
    return JSONResponse({"faults": faults.active()})


def listen(port: int) -> socket.socket:
    """Return a bound loopback socket; port 0 takes a free one. Raises ``OSError`` when taken."""
    # asyncio turns Nagle off only for sockets that name TCP; without it an answer takes 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    return sock


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Prints ``ready`` once the port accepts connections."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn ends, and then raises the signal again for whoever handled it before: nobody.
        signal.signal(number, lambda *_: None)
    with listen(port) as sock:
        print("ready", flush=True)
        _server(app).run(sockets=[sock])


@contextlib.contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serve ``app`` on a free port from a thread; yields its base URL."""
    with listen(0) as sock:
        server = _server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(START_DEADLINE)
