"""What the bot depends on and does not own, as it reaches it: the AI, and the store."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode

from sandbox.http_client import Client, NoAnswer, Request

ERROR_RATE = "x-error-rate"
"""Header of the store's answer: the share (0 to 1) of what is asked of it that it fails."""
_PATIENCE = 60.0
"""Seconds for one answer of the AI."""
_JSON = (("Content-Type", "application/json"),)


class Outside:
    """The provider at ``url``."""

    def __init__(self, url: str) -> None:
        self._client = Client(url, timeout=_PATIENCE)
        self._error_rate = 0.0

    async def reply(self, work: float) -> None:
        """Have the AI answer. ``work``: seconds that this build's calls take longer than others.

        One that does not answer is waited for as long as anybody would: it is slow.
        """
        body = json.dumps({"work": work}).encode()
        try:
            await self._client.send(Request("POST", "/v1/reply", _JSON, body))
        except NoAnswer:
            await asyncio.sleep(_PATIENCE)

    async def store_error_rate(self, part: str = "") -> float:
        """Return the share of what is asked of the store that it fails now, or did last.

        ``part``: of it, which is used besides.
        """
        try:
            path = f"/v1/store?{urlencode({'part': part})}"
            answer = await self._client.send(Request("GET", path))
            self._error_rate = float(answer.headers.get(ERROR_RATE, 0))
        except NoAnswer:
            pass
        return self._error_rate
