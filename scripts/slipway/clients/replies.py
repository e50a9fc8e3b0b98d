"""What came back: a reply that is read strictly, and text from outside made safe to print."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import urllib3

from slipway.clients.fields import Fields, objects, wrong

EXCERPT: Final = 160
"""Characters of somebody else's text that fit in one of our messages."""
READ_FOR_REASON: Final = 4_000
_REASONS: Final = ("message", "detail", "error")
"""Where Render, PostHog and the edge put their reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that was asked for: a 2xx, or a status the caller accepts."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    where: str
    """Which call this answers, with the other side's request id: the start of every error."""
    said: str
    """What it says about itself, short and safe to print."""
    next: str = field(default="", repr=False)
    """The address of the next page, as the ``Link`` header has it: nothing of it was checked."""

    def json(self) -> Any:
        """Return the JSON value. Raises :class:`OutsideError` when the body holds none."""
        try:
            return json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            kind = self.content_type or "no content type"
            says = f": {self.said}" if self.said else ""
            raise wrong(
                self.where, f"status {self.status} with {kind} instead of JSON{says}"
            ) from None

    def object(self) -> Fields:
        """Return the JSON object. Raises :class:`OutsideError` for anything else."""
        return Fields(self.json(), self.where)

    def objects(self) -> Sequence[Fields]:
        """Return the list of JSON objects. Raises :class:`OutsideError` for anything else."""
        return objects(self.json(), self.where)


def read_body(response: requests.Response, *, limit: int, seconds: float) -> tuple[bytes, bool]:
    """Return at most ``limit`` bytes of a streamed answer, and whether that is all of it.

    Raises ``urllib3``'s ``ReadTimeoutError`` when it is not complete within ``seconds``: a
    socket's own timeout only bounds the silence between two bytes.
    """
    deadline = time.monotonic() + seconds
    content = bytearray()
    while chunk := response.raw.read1(min(65536, limit + 1 - len(content)), decode_content=True):
        content += chunk
        if len(content) > limit:
            return bytes(content[:limit]), False
        if time.monotonic() > deadline:
            raise urllib3.exceptions.ReadTimeoutError(None, None, "body too slow")  # type: ignore[arg-type]
    return bytes(content), True


def clean(text: str, *, limit: int = EXCERPT, secret: str = "") -> str:
    """Return ``text`` on one line, short, without markup, control characters or ``secret``."""
    if secret:
        text = text.replace(secret, "***")
    text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>|<[^<>]*>", " ", text)
    text = "".join(char if char.isprintable() else " " for char in text)
    # The runner obeys lines with these marks; nothing from outside may form one.
    text = text.replace("::", ": :").replace("##[", "## [")
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def said(content: bytes) -> str:
    """Return the reason an answer gives, in its usual field, else the start of the answer."""
    text = content[:READ_FOR_REASON].decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        for name in _REASONS:
            if isinstance(value.get(name), str):
                return str(value[name])
    return text


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
