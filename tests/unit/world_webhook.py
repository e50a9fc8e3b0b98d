"""An application with Meta's webhook, in memory, and all the ways in which it can be wrong."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slipway.ports import MetaKeys, Reply

KEYS = MetaKeys(secret="app-secret-of-meta", token="verify-token-of-meta")
HANDSHAKE, DELIVERY, WRONG_TOKEN, FORGED, UNSIGNED, TAMPERED = (
    "handshake",
    "delivery",
    "wrong token",
    "forged",
    "unsigned",
    "tampered",
)
MUST_TAKE = (HANDSHAKE, DELIVERY)
MUST_REFUSE = (WRONG_TOKEN, FORGED, UNSIGNED, TAMPERED)
Say = Callable[[Reply], Reply]


def reply(status: int | None, body: bytes = b"", *, seconds: float = 0.01) -> Reply:
    return Reply(
        status=status, body=body, seconds=seconds, error=None if status else "no answer in time"
    )


@dataclass
class App:
    """Answers as it should, but for what ``says`` it answers to a kind of probe."""

    secret: str = KEYS.secret
    token: str = KEYS.token
    says: dict[str, Reply | Callable[[], Reply]] = field(default_factory=dict)
    reserializes: bool = False
    build: str | None = None
    asked: list[str] = field(default_factory=list)
    """Kinds of probes, in order."""
    urls: list[str] = field(default_factory=list)
    mids: list[str] = field(default_factory=list)
    took: Callable[[], object] = lambda: None
    """What passes meanwhile."""

    def get(self, url: str, query: Mapping[str, str], *, timeout: float) -> Reply:
        del timeout
        right = query["hub.verify_token"] == self.token and query["hub.mode"] == "subscribe"
        # Which probe it is depends on what was shared, not on what this application believes.
        kind = HANDSHAKE if query["hub.verify_token"] == KEYS.token else WRONG_TOKEN
        usual = reply(200, query["hub.challenge"].encode()) if right else reply(403)
        return self._answer(kind, url, usual)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Reply:
        del timeout
        given = headers.get("X-Hub-Signature-256", "")
        kind = _kind(body, given)
        parsed = json.loads(body)
        if "messaging" in parsed["entry"][0]:
            self.mids.append(parsed["entry"][0]["messaging"][0]["message"]["mid"])
        checked = json.dumps(parsed).encode() if self.reserializes else body
        right = hmac.compare_digest(given, _signature(self.secret, checked))
        return self._answer(kind, url, reply(200) if right else reply(401))

    def _answer(self, kind: str, url: str, usual: Reply) -> Reply:
        self.asked.append(kind)
        self.urls.append(url)
        self.took()
        said = self.says.get(kind, usual)
        found = said() if callable(said) else said
        return Reply(
            status=found.status,
            body=found.body,
            seconds=found.seconds,
            error=found.error,
            build=found.build or (self.build if found.status else None),
        )


def _kind(body: bytes, given: str) -> str:
    if not given:
        return UNSIGNED
    if given == _signature(KEYS.secret, body):
        return DELIVERY
    return TAMPERED if given == _signature(KEYS.secret, body[:-1]) else FORGED


def _signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
