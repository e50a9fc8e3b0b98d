"""PostHog's flag definitions over HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx

from .word import Poll

log = logging.getLogger("slipway_edge")

TIMEOUT: Final = 5.0
"""Seconds for a request as a whole."""
_LONGEST_PAUSE: Final = 60.0
"""Seconds: a longer ``Retry-After`` is shortened to this, or the edge could be deaf for hours."""


class PostHogError(Exception):
    """PostHog did not answer with definitions. The message holds no URL, hence no token."""


class Definitions:
    """Reads ``/flags/definitions`` with its ETag, as posthog-python 7.91.1 does."""

    def __init__(
        self,
        *,
        host: str,
        project_token: str,
        secret_key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=host,
            headers={"Authorization": f"Bearer {secret_key}"},
            params={"token": project_token, "send_cohorts": ""},
            timeout=TIMEOUT,
            # A proxy or a netrc file of the surroundings must not receive the key.
            trust_env=False,
        )
        self._clock = clock
        self._etag: str | None = None
        self._paused_until = 0.0

    async def fetch(self) -> Sequence[Any] | None:
        """Return the project's flags, or ``None`` if they are the ones fetched last.

        Raises :class:`PostHogError` for every other answer, and, without asking, during the pause
        that a 429 or 503 asked for.
        """
        if self._clock() < self._paused_until:
            raise PostHogError("waiting, as PostHog asked (Retry-After)")
        headers = {"If-None-Match": self._etag} if self._etag else {}
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await self._client.get("/flags/definitions", headers=headers)
        except (httpx.HTTPError, TimeoutError) as problem:
            raise PostHogError(f"no answer ({type(problem).__name__})") from None
        if response.status_code == httpx.codes.NOT_MODIFIED and self._etag:
            return None
        if response.status_code != httpx.codes.OK:
            self._pause(response)
            raise PostHogError(f"HTTP {response.status_code}")
        try:
            flags = response.json()["flags"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise PostHogError("the answer is not a list of flag definitions") from None
        if not isinstance(flags, list):
            raise PostHogError("the answer is not a list of flag definitions")
        etag = response.headers.get("ETag", "")
        # Sent back as it came, which can only be done with what a header may hold.
        self._etag = etag if etag.isascii() and etag.isprintable() else None
        return flags

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _pause(self, response: httpx.Response) -> None:
        seconds = response.headers.get("Retry-After", "")
        if seconds.isascii() and seconds.isdigit():
            self._paused_until = self._clock() + min(float(seconds), _LONGEST_PAUSE)


class Polls:
    """Asks PostHog, and remembers how that went."""

    def __init__(
        self, definitions: Definitions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._definitions = definitions
        self._clock = clock
        self._tried: float | None = None
        self._answered: float | None = None
        self._failures = 0
        self.error: str | None = None
        """Why the last poll failed, if it did."""

    async def fetch(self) -> tuple[bool, Sequence[Any] | None]:
        """Return whether PostHog answered, and the flags, if they are others than the last ones."""
        self._tried = self._clock()
        try:
            flags = await self._definitions.fetch()
        except PostHogError as problem:
            if self.error != str(problem):
                log.warning("PostHog: %s; the last flag stays", problem)
            self.error = str(problem)
            self._failures += 1
            return False, None
        self._answered, self.error = self._clock(), None
        return True, flags

    def report(self, *, mine: bool) -> Poll:
        """Return how it went, for peers. ``mine``: this instance polls for all."""
        now = self._clock()
        return Poll(
            tried=None if self._tried is None else now - self._tried,
            answered=None if self._answered is None else now - self._answered,
            error=self.error,
            failures=self._failures,
            mine=mine,
        )
