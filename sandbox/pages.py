"""Who is paged: takes what Slack's incoming webhooks take, and checks who sent it.

``python -m sandbox.pages --port N --secret whsec_…``. ``POST /services/T0/B0/<anything>`` takes a
page, ``GET /_sandbox/pages`` lists what came, ``POST /_sandbox/fault`` has it answer badly.
The signature is checked after standardwebhooks.com with code of its own; the limits are those of
docs.slack.dev, "Blocks".
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.serving import FaultMiddleware, Faults, json_object, order_fault, serve

TOLERANCE: Final = 300
"""Seconds a message may be old, or early: what the libraries of Standard Webhooks take."""
LIMITS: Final = {"blocks": 50, "section": 3000, "elements": 10, "element": 3000}
_BARE = re.compile(r"&(?!amp;|lt;|gt;)|<(?!https?://[^|>]+\|[^<>]+>)")
"""What Slack would take for markup of its own."""


class Receiver:
    """Keeps what was taken, and why the rest was not."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.split("_", 1)[1]) if secret else b""
        self.pages: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.faults = Faults()
        self._lock = threading.Lock()

    def app(self) -> ASGIApp:
        """Return the application."""
        app = Starlette(
            routes=[
                Route("/services/{rest:path}", self._take, methods=["POST"]),
                Route("/_sandbox/pages", self._list),
                Route("/_sandbox/fault", self._fault, methods=["POST"]),
            ]
        )
        return FaultMiddleware(
            app, self.faults, lambda status: PlainTextResponse("rollup_error", status)
        )

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        wrong = self._wrong(request.headers, body)
        if wrong:
            with self._lock:
                self.refused.append(wrong)
            return PlainTextResponse("invalid_payload", 400)
        told = json.loads(body)
        with self._lock:
            self.pages.append(
                {
                    "id": request.headers["webhook-id"],
                    "at": time.time(),
                    "signed": bool(self._key),
                    "text": told["text"],
                    "blocks": told["blocks"],
                }
            )
        return PlainTextResponse("ok")

    def _wrong(self, headers: Mapping[str, str], body: bytes) -> str:
        if self._key and (problem := self._forged(headers, body)):
            return problem
        if not headers.get("content-type", "").startswith("application/json"):
            return "not JSON by its type"
        try:
            return _not_for_slack(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"not a message: {error!r}"

    def _forged(self, headers: Mapping[str, str], body: bytes) -> str:
        name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not name or not at.isdigit():
            return "webhook-id or webhook-timestamp is missing"
        if abs(time.time() - int(at)) > TOLERANCE:
            return "too old, or of the future"
        mac = hmac.new(self._key, b".".join([name.encode(), at.encode(), body]), hashlib.sha256)
        wanted = base64.b64encode(mac.digest()).decode()
        for one in headers.get("webhook-signature", "").split(" "):
            version, _, given = one.partition(",")
            if version == "v1" and hmac.compare_digest(given, wanted):
                return ""
        return "no signature of ours"

    async def _list(self, _: Request) -> Response:
        with self._lock:
            return JSONResponse({"pages": self.pages, "refused": self.refused})

    async def _fault(self, request: Request) -> Response:
        return await order_fault(self.faults, await json_object(request))


def _not_for_slack(told: Any) -> str:
    """Return why Slack would not take this message, or not show it as it was meant."""
    if set(told) != {"text", "blocks"} or not told["text"] or not told["blocks"]:
        return "text and blocks are expected, and nothing else"
    if len(told["blocks"]) > LIMITS["blocks"]:
        return "too many blocks"
    texts = [(told["text"], 40_000)]
    for block in told["blocks"]:
        if block["type"] == "section":
            texts.append((block["text"]["text"], LIMITS["section"]))
        elif block["type"] == "context" and 0 < len(block["elements"]) <= LIMITS["elements"]:
            texts += [(one["text"], LIMITS["element"]) for one in block["elements"]]
        else:
            return f"a block that is not known, or has too many elements: {block['type']}"
    for text, most in texts:
        if not 0 < len(text) <= most:
            return f"a text of {len(text)} characters"
        if _BARE.search(text):
            return f"a text that is not escaped: {text}"
    return ""


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.pages", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    given = parser.parse_args()
    serve(Receiver(given.secret).app(), given.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
