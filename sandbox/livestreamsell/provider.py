"""What every build depends on alike: an AI, and a store. ``python -m … --port P --seconds S``.

``POST /v1/reply {"work": seconds}`` answers after the mean (``--seconds``) times 0.5 to 1.5, and
``work`` more. ``GET /v1/store`` says how much of what is asked of the store it fails. For tests and
demonstrations: ``POST /_sandbox/pace {"seconds": S}`` makes the AI as slow for everybody,
``POST /_sandbox/store {"error_rate": R}`` has the store fail a share (0 to 1) of what it is asked;
with ``"part": P`` only of those who use that part of it (``GET /v1/store?part=P``).
"""

from __future__ import annotations

import argparse
import asyncio
import random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.outside import ERROR_RATE
from sandbox.serving import BadRequestBody, json_object, serve

_LONGEST = 60.0
"""Seconds."""


class Provider:
    """The AI and the store of one sandbox."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._error_rates = {"": 0.0}
        """By part of the store; the empty one is what every build uses."""

    def app(self) -> Starlette:
        """Return what serves them."""
        return Starlette(
            routes=[
                Route("/v1/reply", self.reply, methods=["POST"]),
                Route("/v1/store", self.store),
                Route("/_sandbox/pace", self.pace, methods=["POST"]),
                Route("/_sandbox/store", self.fail, methods=["POST"]),
            ],
            exception_handlers={BadRequestBody: _refused},
        )

    async def reply(self, request: Request) -> Response:
        """Answer when the AI would."""
        work = _number(await json_object(request), "work", _LONGEST)
        await asyncio.sleep(self._seconds * random.uniform(0.5, 1.5) + work)
        return JSONResponse({"reply": "It is still there. Shall I keep one for you?"})

    async def store(self, request: Request) -> Response:
        """Say how the store fares, for who uses a part of it."""
        used = {"", request.query_params.get("part", "")}
        worst = max(self._error_rates.get(part, 0.0) for part in used)
        return Response(headers={ERROR_RATE: str(worst)})

    async def pace(self, request: Request) -> Response:
        """Take another mean from now on."""
        self._seconds = _number(await json_object(request), "seconds", _LONGEST)
        return JSONResponse({"seconds": self._seconds})

    async def fail(self, request: Request) -> Response:
        """Fail another share from now on."""
        body = await json_object(request)
        rate, part = _number(body, "error_rate", 1.0), body.get("part", "")
        if not isinstance(part, str):
            raise BadRequestBody("part is a name")
        self._error_rates[part] = rate
        return JSONResponse({"error_rate": rate, "part": part})


def _number(body: dict[str, Any], name: str, most: float) -> float:
    """Return a number from 0 to ``most``. Raises :class:`BadRequestBody`."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadRequestBody(f"{name} is a number from 0 to {most:g}")
    return float(value)


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="sandbox.livestreamsell.provider")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--seconds", type=float, default=0.05, help="mean of the AI's answers")
    arguments = parser.parse_args()
    serve(Provider(arguments.seconds).app(), arguments.port)


if __name__ == "__main__":
    main()
