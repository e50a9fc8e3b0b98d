"""One set of probes of a webhook: two that must be taken, four that must be refused.

What an answer means is decided here, answer by answer; what follows from it is decided by whoever
asked. Nothing that the application says is quoted, and nothing that was sent to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from slipway.config import Webhook
from slipway.ports import Clock, MetaKeys, Reply, Webhooks
from slipway.release.deliveries import PREFIX, body_of, signed, unsigned

SLOW: Final = 1.0
"""Seconds: a delivery that takes longer is told. Whoever forwards WhatsApp asks for less than 1 %
of such answers (360dialog's and Meta's guidance)."""
REFUSAL_WITHIN: Final = 5.0
"""Seconds for an answer to what must be refused."""
_NOT_A_REFUSAL: Final = frozenset({408, 425, 429})
"""4xx that say "not now": nothing about whose delivery it is."""


class Said(StrEnum):
    """What an answer means."""

    GOOD = "good"
    WRONG = "wrong"
    """Of what must be taken: it was not."""
    SILENT = "silent"
    """Of what must be taken: no answer."""
    ACCEPTED = "accepted"
    """Of what must be refused: it was taken."""
    UNKNOWN = "unknown"
    """Of what must be refused: neither taken nor clearly refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One probe and its answer, in words that are safe to show."""

    asked: str
    expected: str
    came: str
    said: Said
    build: str | None = None
    """Which build answered, where it says so."""
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """Say what was asked and what came."""
        return f"{self.asked}: expected {self.expected}, found {self.came}"


class ProbeSet:
    """The probes of one webhook address. Every delivery has an id of its own."""

    def __init__(
        self,
        webhooks: Webhooks,
        keys: MetaKeys,
        settings: Webhook,
        url: str,
        *,
        release: str,
        clock: Clock,
        random: Callable[[], str] = lambda: str(secrets.randbelow(9 * 10**9) + 10**9),
    ) -> None:
        """``url``: the webhook's whole address. ``random``: makes ten digits nobody can guess."""
        self.url = url
        self.settings = settings
        self._webhooks = webhooks
        self._keys = keys
        self._release = release
        self._clock = clock
        self._random = random
        self._number = 0

    def handshake(self) -> Probed:
        """Ask as Meta does when somebody saves the address at it."""
        challenge = self._random()
        reply = self._ask(challenge, self._keys.token, self.settings.within)
        same = reply.body == challenge.encode()
        right = reply.status == 200 and same
        beside = "" if same or reply.status != 200 else ", and another body than the challenge"
        return _taken(
            "handshake", "HTTP 200 and exactly the challenge", reply, right=right, beside=beside
        )

    def delivery(self) -> Iterator[Probed]:
        """Deliver a signed message, and where it was taken the same once more."""
        body = self._body()
        headers = signed(body, self._keys.secret)
        expected = f"HTTP 200 within {self.settings.within:g} s"
        for what in ("signed delivery", "the same delivery again"):
            reply = self._deliver(body, headers, self.settings.within)
            yield (probed := _taken(what, expected, reply, right=reply.status == 200))
            if probed.said is not Said.GOOD:
                return

    def forgeries(self) -> Iterator[Probed]:
        """Ask and deliver as somebody who does not know the secrets. Each once."""
        within = min(self.settings.within, REFUSAL_WITHIN)
        challenge = self._random()
        asked = self._ask(challenge, f"{PREFIX}{self._random()}", within)
        echoed = asked.status is not None and challenge.encode() in asked.body
        beside = ", with the challenge in it" if echoed else ""
        yield _refused("handshake with a wrong token", asked, accepted=echoed, beside=beside)
        for what, secret, added in (
            ("delivery signed with another secret", f"{PREFIX}{self._random()}", b""),
            ("delivery that is not signed", None, b""),
            ("signed delivery with one byte added", self._keys.secret, b" "),
        ):
            body = self._body()
            headers = unsigned() if secret is None else signed(body, secret)
            yield _refused(what, self._deliver(body + added, headers, within))

    def _ask(self, challenge: str, token: str, timeout: float) -> Reply:
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": token,
        }
        return self._safe(self._webhooks.get(self.url, query, timeout=timeout))

    def _body(self) -> bytes:
        self._number += 1
        # Two addresses of one release may share what they have seen: no two have the same id.
        message = f"{PREFIX}{self._release}-{self._random()}-{self._number}"
        return body_of(self.settings.object, message, int(self._clock.now().timestamp()))

    def _deliver(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        return self._safe(self._webhooks.post(self.url, body, headers, timeout=timeout))

    def _safe(self, reply: Reply) -> Reply:
        """Return the reply with an error that has no secret in it, whoever wrote it."""
        error = reply.error
        for secret in (self._keys.secret, self._keys.token):
            error = error.replace(secret, "***") if error and secret else error
        return replace(reply, error=error)


def _taken(asked: str, expected: str, reply: Reply, *, right: bool, beside: str = "") -> Probed:
    said = Said.SILENT if reply.status is None else Said.GOOD if right else Said.WRONG
    return _probed(asked, expected, reply, said, beside)


def _refused(asked: str, reply: Reply, *, accepted: bool = False, beside: str = "") -> Probed:
    said = Said.UNKNOWN
    if accepted or (reply.status is not None and 200 <= reply.status < 300):
        said = Said.ACCEPTED
    elif reply.status is not None and 400 <= reply.status < 500:
        said = Said.UNKNOWN if reply.status in _NOT_A_REFUSAL else Said.GOOD
    return _probed(asked, "a refusal (401 or 403)", reply, said, beside)


def _probed(asked: str, expected: str, reply: Reply, said: Said, beside: str) -> Probed:
    came = (
        f"no answer ({reply.error or 'unknown error'})"
        if reply.status is None
        else f"HTTP {reply.status} in {reply.seconds:.1f} s{beside}"
    )
    return Probed(
        asked=asked,
        expected=expected,
        came=came,
        said=said,
        build=reply.build,
        seconds=reply.seconds,
    )
