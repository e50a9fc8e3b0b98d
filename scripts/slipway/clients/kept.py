"""GETs over one kept-alive connection, as a browser or a balancer makes them."""

from __future__ import annotations

import time
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from slipway.clients.http import why
from slipway.clients.plain import FAILURES, plain_session
from slipway.clients.probe import MAX_BODY, build_named
from slipway.clients.replies import read_body
from slipway.ports import Answer, Kept


class KeptProber(Kept):
    """Probes over a connection that it keeps. A redirect is an answer, not followed.

    Whoever keeps a connection must expect to find it closed: HTTP lets both sides close it between
    two requests, and a GET may then be sent again (RFC 9112, 9.3.1), as browsers do unseen. A
    connection found closed before a byte of the answer came is therefore made anew once, and the
    answer says so. An answer that was cut is none.
    """

    def __init__(self, *, build_header: str = "X-Build", build_field: str = "build") -> None:
        self._header = build_header
        self._field = build_field
        self._line = _Line()
        self._session = plain_session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _OneLine(self._line))

    def probe(self, url: str, *, timeout: float) -> Answer:
        """GET ``url`` within ``timeout`` seconds in all. What goes wrong is in the answer."""
        began = time.monotonic()
        line = self._line
        for last in (False, True):
            made = line.made
            line.answering = False
            try:
                with self._session.get(
                    url,
                    timeout=timeout - (time.monotonic() - began),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    left = timeout - (time.monotonic() - began)
                    content, whole = read_body(response, limit=MAX_BODY, seconds=left)
            except FAILURES as error:
                if not last and line.found_closed(made, error):
                    continue
                line.ended_by_us = True
                return _none(url, began, why(error))
            again = line.reconnected(made) or last
            # What is not read to its end leaves a connection that cannot be used again.
            line.ended_by_us = not whole
            seconds = time.monotonic() - began
            if seconds > timeout:
                return _none(url, began, "no answer in time")
            return Answer(
                url=url,
                status=response.status_code,
                seconds=seconds,
                build=build_named(
                    response, content if whole else b"", header=self._header, field=self._field
                ),
                reconnected=again,
            )
        raise AssertionError("unreachable: the last attempt returns")


def _none(url: str, began: float, reason: str) -> Answer:
    seconds = time.monotonic() - began
    return Answer(url=url, status=None, seconds=seconds, build=None, error=reason)


class _Line:
    """What is known of the one connection."""

    def __init__(self) -> None:
        self.made = 0
        """How often it was made."""
        self.answering = False
        """Whether a byte of the answer has come."""
        self.ended_by_us = True
        """Whether a new one has to be made for our own reasons."""

    def found_closed(self, made: int, error: Exception) -> bool:
        """Return whether a connection that was kept turned out to be closed, and no more."""
        # A time-out while reading is another kind of error, one while connecting made a new one.
        ended = isinstance(error, requests.ConnectionError)
        return ended and self.made == made and not self.answering

    def reconnected(self, made: int) -> bool:
        """Return whether the other side is why a new one was made since."""
        return self.made > made and not self.ended_by_us


class _OneLine(HTTPAdapter):
    """Keeps one connection to each origin, and tells of what happens to it."""

    def __init__(self, line: _Line) -> None:
        self._pools = _pools(line)
        super().__init__(pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(line: _Line) -> dict[str, type[HTTPConnectionPool]]:
    class Response(HTTPResponse):
        def begin(self) -> None:
            # Waits for the first byte, or for the end of the connection, which is none.
            line.answering = bool(self.fp.peek(1))
            super().begin()

    class Plain(HTTPConnection):
        response_class = Response

        def connect(self) -> None:
            line.made += 1
            super().connect()

    class Secure(HTTPSConnection):
        response_class = Response

        def connect(self) -> None:
            line.made += 1
            super().connect()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
