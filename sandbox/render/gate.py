"""What every request to Render's API passes: the key, the limits, and the faults asked for."""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.render import wire
from sandbox.render.api import Api
from sandbox.render.control import Control
from sandbox.render.deploys import Refusal
from sandbox.render.faults import Fault
from sandbox.render.limits import RateLimits
from sandbox.render.state import Render


class Gate:
    """ASGI middleware in front of ``/v1``. Control paths pass untouched."""

    def __init__(self, app: ASGIApp, render: Render) -> None:
        self._app = app
        self._render = render
        self._limits = RateLimits(render.settings.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it here."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request_id = str(uuid.uuid4())
        scope["state"] = {"request_id": request_id}
        method, path = request.method, request.url.path
        authorized = self._authorized(request)
        standing = self._limits.count(method, path, time.monotonic(), free=not authorized)
        headers = {"Render-Request-Id": request_id, **standing.headers()}
        send = _with_headers(send, headers)
        fault = self._render.faults.take(method, path)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind in {"http", "lost", "cut"}:
            await self._misbehave(fault, scope, receive, send)
        elif not authorized:
            await _error(401, "Unauthorized", request_id)(scope, receive, send)
        elif not standing.allowed:
            answer = _error(429, "Rate limit exceeded", request_id)
            if self._render.settings.limits.retry_after:
                answer.headers["Retry-After"] = str(standing.reset)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        expected = f"Bearer {self._render.settings.api_key}"
        return hmac.compare_digest(given.encode(), expected.encode())

    async def _misbehave(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "lost":
            await self._app(scope, receive, _nowhere)
        text, media_type = fault.text()
        answer = Response(text, fault.status, dict(fault.headers), media_type)
        if fault.kind == "cut":
            # A promise that the body does not keep makes the server close the connection.
            answer.headers["Content-Length"] = str(len(text.encode()) + 1000)
        await answer(scope, receive, send)


async def _nowhere(_: Message) -> None:
    return


def _with_headers(send: Send, headers: dict[str, str]) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", ())}
            extra = [
                (name.lower().encode(), value.encode())
                for name, value in headers.items()
                if name.lower().encode() not in given
            ]
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return sending


def _error(status: int, message: str, request_id: str) -> JSONResponse:
    return JSONResponse(wire.error(message, request_id), status)


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", uuid.uuid4()))


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return _error(error.status, error.message, _request_id(request))


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _error(error.status_code, error.detail, _request_id(request))


def create(render: Render) -> ASGIApp:
    """Return the whole application."""
    app = Starlette(
        routes=[*Api(render).routes(), *Control(render).routes()],
        exception_handlers={Refusal: _refused, HTTPException: _http},
    )
    return Gate(app, render)
