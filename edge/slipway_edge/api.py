"""The agent's HTTP API, under the one path that HAProxy reserves for it."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any, Final, TypeGuard

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .agent import Agent, NotSaved, NotYet
from .haproxy import HAProxyError
from .state import Decision, Holder, LeaseHeld, NotUnderWay, Promotion

log = logging.getLogger("slipway_edge")

PREFIX: Final = "/.slipway"
HEALTH: Final = f"{PREFIX}/healthz"
MAX_BODY: Final = 16 * 1024
MAX_TTL: Final = 600.0
"""Seconds. A lease bounds how long a canary outlives its runner; hours would not be a bound."""
MAX_WAIT: Final = 30.0
"""Seconds a refresh may take; HAProxy gives the agent 40."""
_MAX_TEXT: Final = 200

Handler = Callable[[Request], Awaitable[JSONResponse]]


class Malformed(Exception):
    """A request body that does not say what it must; the message says which part."""


def create_app(agent: Agent, token: str) -> ASGIApp:
    """Return the application. ``token`` is what ``Authorization: Bearer`` must carry."""

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True})

    async def state(_: Request) -> JSONResponse:
        return _state(agent, await agent.settle())

    async def counts(_: Request) -> JSONResponse:
        read = await agent.counts()
        tracks = {"stable": asdict(read.stable), "canary": asdict(read.canary)}
        return JSONResponse({"epoch": read.epoch, "tracks": tracks})

    async def lease(request: Request) -> JSONResponse:
        body = await _body(request)
        ttl = _seconds(body, "ttl", MAX_TTL)
        return _state(agent, await agent.renew(_text(body, "release"), _holder(body), ttl))

    async def release(request: Request) -> JSONResponse:
        body = await _body(request)
        return _state(agent, await agent.give_back(_text(body, "release"), _holder(body)))

    async def refresh(request: Request) -> JSONResponse:
        body = await _body(request)
        version = body.get("version")
        if version is not None and not _is_int(version):
            raise Malformed("'version' must be a whole number or null")
        return _state(agent, await agent.refresh(version, _seconds(body, "timeout", MAX_WAIT)))

    async def kill(request: Request) -> JSONResponse:
        body = await _body(request)
        named = None if body.get("release") is None else _text(body, "release")
        reason = body.get("reason") or ""
        if not isinstance(reason, str):
            raise Malformed("'reason' must be a string")
        return _state(agent, await agent.kill(named, reason[:_MAX_TEXT]))

    async def promote(request: Request) -> JSONResponse:
        body = await _body(request)
        order = Promotion(
            release=_text(body, "release"), by=_text(body, "by"), reason=_text(body, "reason")
        )
        return _state(agent, await agent.promote(order))

    def failed(status: int) -> Callable[[Request, Exception], JSONResponse]:
        def answer(_: Request, problem: Exception) -> JSONResponse:
            return JSONResponse({**agent.describe(), "error": str(problem)}, status)

        return answer

    def unconfirmed(_: Request, problem: Exception) -> JSONResponse:
        # No state here: what HAProxy holds is exactly what is not known.
        return JSONResponse({"error": f"not confirmed in HAProxy: {problem}"}, 503)

    app = Starlette(
        routes=[
            Route(HEALTH, healthz),
            Route(f"{PREFIX}/state", state),
            Route(f"{PREFIX}/counts", counts),
            Route(f"{PREFIX}/lease", lease, methods=["POST"]),
            Route(f"{PREFIX}/release", release, methods=["POST"]),
            Route(f"{PREFIX}/refresh", refresh, methods=["POST"]),
            Route(f"{PREFIX}/promote", promote, methods=["POST"]),
            Route(f"{PREFIX}/kill", kill, methods=["POST"]),
        ],
        exception_handlers={
            Malformed: _malformed,
            HTTPException: _http_error,
            LeaseHeld: failed(409),
            NotUnderWay: failed(409),
            NotYet: failed(504),
            NotSaved: failed(500),
            HAProxyError: unconfirmed,
        },
    )
    return _RequireToken(app, token)


class _RequireToken:
    """Turns away everything but the health check that does not carry the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != HEALTH:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                headers = {"WWW-Authenticate": "Bearer"}
                refusal = JSONResponse({"error": "a valid token is required"}, 401, headers)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _state(agent: Agent, decision: Decision) -> JSONResponse:
    return JSONResponse(agent.describe(decision))


def _malformed(_: Request, problem: Exception) -> JSONResponse:
    return JSONResponse({"error": str(problem)}, 400)


def _http_error(_: Request, problem: Exception) -> JSONResponse:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    return JSONResponse({"error": str(getattr(problem, "detail", problem))}, status)


async def _body(request: Request) -> Mapping[str, Any]:
    """Read a JSON object of at most ``MAX_BODY`` bytes, without taking in more than that."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("the body is not a JSON object")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise Malformed(f"{name!r} must be a printable string of 1 to {_MAX_TEXT} characters")
    return value


def _holder(body: Mapping[str, Any]) -> Holder:
    raw = body.get("holder")
    if not isinstance(raw, dict):
        raise Malformed("'holder' must be an object")
    attempt = raw.get("attempt")
    if not _is_int(attempt) or attempt < 1:
        raise Malformed("'attempt' must be a whole number from 1")
    return Holder(run_id=_text(raw, "run_id"), attempt=attempt)


def _seconds(body: Mapping[str, Any], name: str, most: float) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{name!r} must be a number of seconds")
    if not isfinite(value) or not 0 < value <= most:
        raise Malformed(f"{name!r} must be above 0 and at most {most:g} seconds")
    return float(value)


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
