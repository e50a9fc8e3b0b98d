"""Plain GETs, as a user's browser would make them: a new connection each, no key, no retry."""

from __future__ import annotations

import json
import time
from typing import Final

import requests

from slipway.clients.http import why
from slipway.clients.plain import FAILURES, plain_session
from slipway.clients.replies import clean, read_body
from slipway.ports import Answer, Prober

MAX_BODY: Final = 64 * 1024
"""Bytes of an answer that are read: a health answer is far shorter."""
MAX_BUILD: Final = 128
"""Characters of a build's name; a digest has 71."""


class HttpProber(Prober):
    """Probes over HTTP, verifying TLS. A redirect is an answer, not followed."""

    def __init__(self, *, build_header: str = "X-Build", build_field: str = "build") -> None:
        """``build_header`` and ``build_field`` (of a JSON answer) say where the build is named."""
        self._header = build_header
        self._field = build_field

    def probe(self, url: str, *, timeout: float, text: str | None = None) -> Answer:
        """GET ``url`` within ``timeout`` seconds in all. What goes wrong is in the answer.

        ``text`` is looked for, as UTF-8, in the first :data:`MAX_BODY` bytes, which are not kept.
        """
        began = time.monotonic()
        try:
            with plain_session() as session:
                session.headers["Connection"] = "close"
                with session.get(
                    url, timeout=timeout, allow_redirects=False, stream=True
                ) as response:
                    left = timeout - (time.monotonic() - began)
                    content, whole = read_body(response, limit=MAX_BODY, seconds=left)
        except FAILURES as error:
            return self._failed(url, began, why(error))
        seconds = time.monotonic() - began
        if seconds > timeout:
            return self._failed(url, began, "no answer in time")
        return Answer(
            url=url,
            status=response.status_code,
            seconds=seconds,
            build=self._build(response, content if whole else b""),
            holds=None if text is None else text.encode("utf-8", "replace") in content,
        )

    def _failed(self, url: str, began: float, reason: str) -> Answer:
        seconds = time.monotonic() - began
        return Answer(url=url, status=None, seconds=seconds, build=None, error=reason)

    def _build(self, response: requests.Response, content: bytes) -> str | None:
        return build_named(response, content, header=self._header, field=self._field)


def build_named(
    response: requests.Response, content: bytes, *, header: str, field: str
) -> str | None:
    """Return the build that an answer names in a header, or in a field of a JSON object."""
    named: object = response.headers.get(header)
    if named is None:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return None
        named = value.get(field) if isinstance(value, dict) else None
    if not isinstance(named, str):
        return None
    # Compared with a digest or a commit, and shown: anything else names no build.
    named = named.strip()
    return named if named and named == clean(named, limit=MAX_BUILD) else None
