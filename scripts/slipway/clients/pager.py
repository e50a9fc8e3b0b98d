"""Paging somebody: one POST that Slack's incoming webhooks take, signed for whoever checks it.

The body is Slack's (docs.slack.dev, "Sending messages using incoming webhooks" and "Blocks"):
``text`` and ``blocks``. The signature is that of Standard Webhooks 1.0 (standardwebhooks.com).
The address is a secret, as Slack's are: no error repeats it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from slipway.clients.http import why
from slipway.clients.plain import FAILURES, plain_session
from slipway.clients.retries import TOO_MANY, Sleep
from slipway.errors import OutsideError, UsageError
from slipway.ports import Alarm
from slipway.text import one_line

DEADLINE: Final = 20.0
"""Seconds that one page may take, with all attempts and pauses."""
TIMEOUT: Final = 5.0
"""Seconds for one attempt to connect, and again to be answered."""
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts, where the receiver does not ask for more."""
TEXT_LIMIT: Final = 2000
"""Characters of one text as it is sent: Slack takes 3000 in a section, and some 13,000 in all
blocks together (github.com/slackapi/bolt-js/issues/2509)."""
ELEMENTS_LIMIT: Final = 10
"""Elements Slack takes in one context block."""
_PREFIX: Final = "whsec_"
_WORD: Final = re.compile(r"[a-z_]{1,60}")
"""What Slack says of a refusal: ``invalid_payload``, ``no_service``."""


class WebhookPager:
    """Sends pages to one address. ``secret`` empty: they are not signed."""

    def __init__(
        self,
        url: str,
        secret: str = "",
        *,
        now: Callable[[], float] = time.time,
        sleep: Sleep = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE,
    ) -> None:
        """Raises :class:`UsageError` where ``url`` is no http(s) URL. ``now``: Unix seconds."""
        if not _plain(url):
            raise UsageError(
                "page-url is not a plain http(s) URL",
                remedy="Give the whole address that takes the messages, as Slack shows it.",
            )
        self._url = url
        self._secret = secret
        self._now, self._sleep, self._monotonic = now, sleep, monotonic
        self._deadline = deadline

    def __repr__(self) -> str:
        return "WebhookPager()"

    def page(self, alarm: Alarm) -> None:
        """Send it, again where that may help. Raises :class:`OutsideError` if nobody took it."""
        content = json.dumps(message(alarm)).encode()
        until = self._monotonic() + self._deadline
        with plain_session() as session:
            for attempt, usual in enumerate((*PAUSES, None), start=1):
                left = until - self._monotonic()
                found, pause = self._attempt(session, alarm.id, content, max(0.1, left))
                if not found:
                    return
                wait = usual if pause is None or usual is None else max(usual, pause)
                left = until - self._monotonic()
                if pause is None or wait is None or wait >= left:
                    asked = f", and asks to wait {pause:.0f} s" if pause else ""
                    raise _nobody(f"{found}{asked}, attempt {attempt}")
                self._sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(
        self, session: requests.Session, name: str, content: bytes, left: float
    ) -> tuple[str, float | None]:
        """Send once; return what was wrong (empty: taken), and the pause that was asked for.

        A pause of ``None``: trying again would not help.
        """
        limit = min(TIMEOUT, left)
        headers = signed(name, int(self._now()), content, self._secret)
        try:
            with session.post(
                self._url,
                data=content,
                headers=headers,
                timeout=(limit, limit),
                allow_redirects=False,
                stream=True,
            ) as answer:
                status, said = answer.status_code, answer.raw.read(100, decode_content=True)
                asked = _seconds(answer.headers.get("Retry-After", ""))
        except FAILURES as error:
            # What requests says of it may hold the address; a TLS failure names the host.
            tls = isinstance(error, requests.exceptions.SSLError)
            return ("the TLS connection is not good" if tls else why(error)), 0.0
        if 200 <= status < 300:
            return "", None
        word = said.decode(errors="replace").strip() if isinstance(said, bytes) else ""
        found = f"HTTP {status}" + (f" ({word})" if _WORD.fullmatch(word) else "")
        return found, asked if status == TOO_MANY or status >= 500 else None


def signed(name: str, at: int, content: bytes, secret: str) -> dict[str, str]:
    """Return the headers of one message. ``at``: Unix seconds. Without a secret: no signature."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "slipway",
        "webhook-id": name,
        "webhook-timestamp": str(at),
    }
    if secret:
        what = f"{name}.{at}.".encode() + content
        digest = hmac.new(key_of(secret), what, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def key_of(secret: str) -> bytes:
    """Return the bytes to sign with: what the base64 after ``whsec_`` holds.

    A secret that is no base64 is used as it is: some receivers do so, and one that does not would
    not have taken an unsigned page either.
    """
    text = secret.removeprefix(_PREFIX)
    return decoded(text) or text.encode()


def decoded(text: str) -> bytes | None:
    """Return what base64 holds, padded or not; ``None``: it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def message(alarm: Alarm) -> dict[str, Any]:
    """Return the body: ``text`` for a notification, ``blocks`` for the channel."""
    title = mrkdwn(alarm.title)
    blocks = [_section(f"*{title}*")]
    if alarm.text:
        blocks.append(_section(mrkdwn(alarm.text)))
    if alarm.action:
        blocks.append(_section(f"*What to do next.* {mrkdwn(alarm.action)}"))
    facts = [f"{mrkdwn(name)}: {mrkdwn(value)}" for name, value in alarm.facts]
    if alarm.url and re.fullmatch(r"https?://[^\s<>|\"]+", alarm.url):
        facts.append(f"<{mrkdwn(alarm.url)}|log of this run>")
    for first in range(0, len(facts), ELEMENTS_LIMIT):
        elements = [_mrkdwn(fact) for fact in facts[first : first + ELEMENTS_LIMIT]]
        blocks.append({"type": "context", "elements": elements})
    summary = [title, mrkdwn(alarm.text), mrkdwn(alarm.action)]
    return {"text": "\n".join(part for part in summary if part), "blocks": blocks}


def mrkdwn(text: str) -> str:
    """Return text from outside as Slack shows it: no link, no mention.

    Slack's own rule: these three are escaped, and nothing else.
    """
    line = one_line(text, TEXT_LIMIT)
    escaped = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= TEXT_LIMIT:
        return escaped
    return re.sub(r"&[a-z]*$", "", escaped[:TEXT_LIMIT]) + "…"


def _plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.username
    except ValueError:
        return False


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: a word that looks like a channel or a person is not made into a link or a mention.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0


def _nobody(found: str) -> OutsideError:
    return OutsideError(
        f"nobody took the page: {found}",
        remedy="Tell whoever is on call yourself, and mend the secret PAGE_URL: it must be the "
        "whole address of a webhook that still exists.",
    )
