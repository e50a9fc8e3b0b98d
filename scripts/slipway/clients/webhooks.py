"""Calls of a webhook as its sender makes them: once each, on a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from slipway.background import in_thread
from slipway.clients.http import why
from slipway.clients.plain import FAILURES, plain_session
from slipway.clients.probe import build_named
from slipway.clients.replies import read_body
from slipway.ports import Reply, Webhooks

MAX_BODY: Final = 64 * 1024
"""Bytes of an answer that are read: a challenge has some digits."""


class HttpWebhooks(Webhooks):
    """Asks and delivers over HTTP, verifying TLS. A redirect is an answer, not followed.

    What was sent (a token, a signature) is in no error: only the kind of failure is told.
    """

    def __init__(self, *, build_header: str = "X-Build") -> None:
        """``build_header``: where an answer names the build that gave it."""
        self._header = build_header

    def get(self, url: str, query: Mapping[str, str], *, timeout: float) -> Reply:
        """Ask with a query, within ``timeout`` seconds in all."""
        return self._within(timeout, "GET", url, params=dict(query))

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Reply:
        """Deliver ``body`` byte for byte, within ``timeout`` seconds in all."""
        return self._within(timeout, "POST", url, data=body, headers=dict(headers))

    def _within(self, timeout: float, method: str, url: str, **what: Any) -> Reply:
        """Ask, and wait no longer than that: not for a name to resolve, nor for a slow header."""
        began = time.monotonic()
        got: list[Reply] = []
        task = in_thread(lambda: got.append(self._ask(timeout, method, url, **what)))
        task.wait(timeout)
        if not got or time.monotonic() - began > timeout:
            return _failed(began, "no answer in time")
        return got[0]

    def _ask(self, timeout: float, method: str, url: str, **what: Any) -> Reply:
        began = time.monotonic()
        try:
            with plain_session() as session:
                session.headers["Connection"] = "close"
                with session.request(
                    method, url, timeout=timeout, allow_redirects=False, stream=True, **what
                ) as response:
                    left = timeout - (time.monotonic() - began)
                    content, _ = read_body(response, limit=MAX_BODY, seconds=left)
        except FAILURES as error:
            return _failed(began, why(error))
        return Reply(
            status=response.status_code,
            body=content,
            seconds=time.monotonic() - began,
            build=build_named(response, b"", header=self._header, field=""),
        )


def _failed(began: float, reason: str) -> Reply:
    return Reply(status=None, body=b"", seconds=time.monotonic() - began, error=reason)
