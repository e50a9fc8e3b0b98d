"""Meta's webhook of the sample bot: who is believed, and which deliveries are new."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sandbox.livestreamsell.settings import Settings

PROBE = "deploy-probe-"
"""What the ids of a deploy's probes begin with: they are dropped before anything is done."""
_KEPT = 10_000
"""Ids of deliveries that are remembered."""


def signature(secret: str, body: bytes) -> str:
    """Return what Meta puts into ``X-Hub-Signature-256`` for this raw body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Webhook:
    """Believes Meta, and begins a reply for each delivery that is new and no probe."""

    def __init__(
        self, settings: Settings, registry: CollectorRegistry, begin: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._behaviour = settings.behaviour
        # A build that was made with another secret than the one that Meta has.
        self._secret = settings.app_secret and settings.app_secret + (
            "-of-another-app" if self._behaviour.wrong_secret else ""
        )
        self._begin = begin
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._deliveries = Counter(
            "deliveries",
            "Deliveries that were believed: new ones had an effect.",
            ["build", "kind"],
            registry=registry,
        )
        for kind in ("new", "probe", "duplicate"):
            self._deliveries.labels(build=settings.build, kind=kind)

    async def handshake(self, request: Request) -> Response:
        """Answer what Meta asks when somebody saves the address at it."""
        query = request.query_params
        known = bool(self._settings.verify_token) and hmac.compare_digest(
            query.get("hub.verify_token", "").encode(), self._settings.verify_token.encode()
        )
        if query.get("hub.mode") != "subscribe" or not known:
            return PlainTextResponse("forbidden", status_code=403)
        challenge = query.get("hub.challenge", "")
        if self._behaviour.challenge_as_json:
            return JSONResponse({"challenge": challenge})
        return PlainTextResponse(challenge)

    async def delivery(self, request: Request) -> Response:
        """Take a delivery that Meta signed."""
        body = await request.body()
        if not self._believed(body, request.headers.get("x-hub-signature-256")):
            return PlainTextResponse("bad signature", status_code=401)
        kind = self._kind(body)
        self._deliveries.labels(build=self._settings.build, kind=kind).inc()
        if kind == "new":
            self._begin()
        return PlainTextResponse("EVENT_RECEIVED")

    def _believed(self, body: bytes, given: str | None) -> bool:
        if given is None:
            return self._behaviour.takes_unsigned
        if self._behaviour.reserializes:
            body = json.dumps(json.loads(body)).encode()
        expected = signature(self._secret, body)
        return bool(self._secret) and hmac.compare_digest(given.encode(), expected.encode())

    def _kind(self, body: bytes) -> str:
        mids = list(_mids(json.loads(body)))
        known = bool(mids) and all(mid in self._seen for mid in mids)
        if not self._behaviour.forgets_duplicates:
            self._seen.update(dict.fromkeys(mids))
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        if known:
            return "duplicate"
        return "probe" if mids and all(mid.startswith(PROBE) for mid in mids) else "new"


def _mids(told: Any) -> Iterator[str]:
    """Yield the ids of the messages of a delivery about a page."""
    for entry in told.get("entry", []):
        for event in entry.get("messaging", []):
            mid = event.get("message", {}).get("mid")
            if isinstance(mid, str):
                yield mid
