"""The agent's HTTP API, under the one path that HAProxy reserves for it."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeGuard

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .agent import Agent, Done, NotSaved, NotYet
from .cohort import BIN_PERCENT
from .haproxy import HAProxyError
from .metrics import CONTENT_TYPE, render
from .peers import PATH as PEER
from .state import Decision, Holder, LeaseHeld, NotFollowed, NotUnderWay, Promotion
from .totals import fleet_counts, fleet_habits, fleet_sellers
from .view import describe
from .word import MAX_TEXT, MAX_TTL, MAX_WHOLE, BadWord, shown, wants

log = logging.getLogger("slipway_edge")

PREFIX: Final = "/.slipway"
HEALTH: Final = f"{PREFIX}/healthz"
MAX_BODY: Final = 16 * 1024
MAX_WORD: Final = 1024 * 1024
"""Bytes that a peer may say: PostHog's text of the flag names up to some thousand sellers."""
MAX_WAIT: Final = 30.0
"""Seconds a refresh may take; HAProxy gives the agent 40."""


class Json(JSONResponse):
    """JSON in ASCII: half a surrogate pair, which JSON can say and UTF-8 cannot, gets through."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of ``content``."""
        return json.dumps(content, separators=(",", ":")).encode()


class Malformed(Exception):
    """A request body that does not say what it must; the message says which part."""


def create_app(agent: Agent, token: str, peer_token: str) -> ASGIApp:
    """Return the application.

    ``token`` is what ``Authorization: Bearer`` must carry, ``peer_token`` what it must between
    instances.
    """

    async def healthz(_: Request) -> Json:
        return Json({"ok": True})

    async def state(_: Request) -> Json:
        return _state(agent, await agent.settle())

    async def counts(request: Request) -> Json:
        if request.query_params.get("scope") == "self":
            return Json({**await agent.counts(), "missing": []})
        total, missing = await fleet_counts(agent)
        return Json({**total, "missing": list(missing)})

    async def sellers(request: Request) -> Json:
        share = _share(request.query_params.get("share", "100"))
        seen, missing = await fleet_sellers(agent)
        return Json(
            {
                "sellers": len(seen.buckets),
                "cohort": seen.cohort(share),
                "seconds": round(seen.seconds, 1),
                "missing": list(missing),
            }
        )

    async def habits(request: Request) -> Json:
        share = _share_of_bins(request.query_params.get("share", ""))
        known, missing = await fleet_habits(agent)
        inside, outside = known.split(share)
        return Json(
            {
                "share": share,
                "inside": asdict(inside),
                "outside": asdict(outside),
                "seconds": round(known.seconds, 1),
                "missing": list(missing),
            }
        )

    async def metrics(_: Request) -> Response:
        return Response((await render(agent)).encode(errors="replace"), media_type=CONTENT_TYPE)

    async def peer(request: Request) -> Json:
        body = await _body(request, most=MAX_WORD)
        return Json(await agent.answer(body, wants(body)))

    async def lease(request: Request) -> Json:
        body = await _body(request)
        ttl = _seconds(body, "ttl", MAX_TTL)
        return _state(agent, await agent.renew(_text(body, "release"), _holder(body), ttl))

    async def release(request: Request) -> Json:
        body = await _body(request)
        return _state(agent, await agent.give_back(_text(body, "release"), _holder(body)))

    async def refresh(request: Request) -> Json:
        body = await _body(request)
        version = body.get("version")
        if version is not None and not _is_int(version):
            raise Malformed("'version' must be a whole number or null")
        return _state(agent, await agent.refresh(version, _seconds(body, "timeout", MAX_WAIT)))

    async def kill(request: Request) -> Json:
        body = await _body(request)
        named = None if body.get("release") is None else _text(body, "release")
        reason = body.get("reason") or ""
        if not isinstance(reason, str):
            raise Malformed("'reason' must be a string")
        return _state(agent, await agent.kill(named, shown(reason)))

    async def promote(request: Request) -> Json:
        body = await _body(request)
        order = Promotion(
            release=_text(body, "release"), by=_text(body, "by"), reason=_text(body, "reason")
        )
        return _state(agent, await agent.promote(order))

    def failed(status: int) -> Callable[[Request, Exception], Json]:
        def answer(_: Request, problem: Exception) -> Json:
            return Json({**describe(agent), "error": str(problem)}, status)

        return answer

    def unconfirmed(_: Request, problem: Exception) -> Json:
        # No state here: what HAProxy holds is exactly what is not known.
        return Json({"error": f"not confirmed in HAProxy: {problem}"}, 503)

    app = Starlette(
        routes=[
            Route(HEALTH, healthz),
            Route(f"{PREFIX}/state", state),
            Route(f"{PREFIX}/counts", counts),
            Route(f"{PREFIX}/sellers", sellers),
            Route(f"{PREFIX}/habits", habits),
            Route(f"{PREFIX}/metrics", metrics),
            Route(PEER, peer, methods=["POST"]),
            Route(f"{PREFIX}/lease", lease, methods=["POST"]),
            Route(f"{PREFIX}/release", release, methods=["POST"]),
            Route(f"{PREFIX}/refresh", refresh, methods=["POST"]),
            Route(f"{PREFIX}/promote", promote, methods=["POST"]),
            Route(f"{PREFIX}/kill", kill, methods=["POST"]),
        ],
        exception_handlers={
            Malformed: _malformed,
            BadWord: _malformed,
            HTTPException: _http_error,
            LeaseHeld: failed(409),
            NotFollowed: failed(409),
            NotUnderWay: failed(409),
            NotYet: failed(504),
            NotSaved: failed(500),
            HAProxyError: unconfirmed,
        },
    )
    return _RequireToken(app, token, peer_token)


class _RequireToken:
    """Turns away everything but the health check that does not carry the token."""

    def __init__(self, app: ASGIApp, token: str, peer_token: str) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()
        self._of_peers = b"Bearer " + peer_token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != HEALTH:
            given = dict(scope["headers"]).get(b"authorization", b"")
            expected = self._of_peers if scope["path"] == PEER else self._expected
            if not hmac.compare_digest(given, expected):
                headers = {"WWW-Authenticate": "Bearer"}
                refusal = Json({"error": "a valid token is required"}, 401, headers)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _state(agent: Agent, seen: Decision | Done) -> Json:
    return Json(describe(agent, seen))


def _malformed(_: Request, problem: Exception) -> Json:
    return Json({"error": str(problem)}, 400)


def _http_error(_: Request, problem: Exception) -> Json:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    return Json({"error": str(getattr(problem, "detail", problem))}, status)


async def _body(request: Request, *, most: int = MAX_BODY) -> Mapping[str, Any]:
    """Read a JSON object of at most ``most`` bytes, without taking in more than that."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise HTTPException(413, f"the body is larger than {most} bytes")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("the body is not a JSON object")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise Malformed(f"{name!r} must be a printable string of 1 to {MAX_TEXT} characters")
    return value


def _holder(body: Mapping[str, Any]) -> Holder:
    raw = body.get("holder")
    if not isinstance(raw, dict):
        raise Malformed("'holder' must be an object")
    attempt = raw.get("attempt")
    if not _is_int(attempt) or not 1 <= attempt <= MAX_WHOLE:  # peers take no larger one
        raise Malformed("'attempt' must be a whole number from 1")
    return Holder(run_id=_text(raw, "run_id"), attempt=attempt)


def _seconds(body: Mapping[str, Any], name: str, most: float) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{name!r} must be a number of seconds")
    if not 0 < value <= most:  # false for NaN, too; isfinite() raises for a large whole number
        raise Malformed(f"{name!r} must be above 0 and at most {most:g} seconds")
    return float(value)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise Malformed("'share' must be a percentage from 0 to 100")
    return share


def _share_of_bins(text: str) -> int:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if share not in range(BIN_PERCENT, 100, BIN_PERCENT):
        raise Malformed(
            f"'share' must be a multiple of {BIN_PERCENT} from {BIN_PERCENT} to "
            f"{100 - BIN_PERCENT}: sellers are counted in steps of {BIN_PERCENT} %"
        )
    return int(share)


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
