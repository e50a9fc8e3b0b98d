"""Requests as Render's metrics count them: what HAProxy says passed through public addresses."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.render.wire import moment

LOG_FORMAT = "%f %ST"
"""Of HAProxy: the service and the status of one request."""
_LINE = re.compile(r"(\S+) (\d{3})")
_BUFFER = 4 * 1024 * 1024
_REMEMBERED = 3600.0
"""Seconds; a run of the sandbox is shorter."""


class RequestCounts(asyncio.DatagramProtocol):
    """Requests by service, second and status. HAProxy tells of each one over UDP on loopback."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[int, str]]] = defaultdict(Counter)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._transport: asyncio.BaseTransport | None = None

    @property
    def address(self) -> str:
        """Where HAProxy sends its log."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    async def start(self) -> None:
        """Begin to count."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)

    def stop(self) -> None:
        """Count no more."""
        if self._transport is not None:
            self._transport.close()
        self._socket.close()

    def datagram_received(self, data: bytes, _: Any) -> None:
        """Count one request. What got no answer at all has no status, and is not counted."""
        found = _LINE.search(data.decode(errors="replace"))
        if found:
            self.count(found[1], found[2], time.time())

    def count(self, service: str, status: str, at: float) -> None:
        """Count a request that was answered so at a time (seconds since the epoch)."""
        counts = self._counts[service]
        if (int(at), status) not in counts:
            for old in [key for key in counts if key[0] < at - _REMEMBERED]:
                del counts[old]
        counts[int(at), status] += 1

    def series(
        self, services: list[str], start: datetime, end: datetime, resolution: int
    ) -> list[dict[str, Any]]:
        """Return Render's time series: one for each service and status, values by bucket.

        A bucket without a request has no value, and a status that never was has no series.
        """
        found: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        for service in services:
            for (second, status), requests in self._counts.get(service, Counter()).items():
                if start.timestamp() <= second < end.timestamp():
                    found[service, status][second - second % resolution] += requests
        return [
            {
                "labels": [
                    {"field": "service", "value": service},
                    {"field": "statusCode", "value": status},
                ],
                "values": [
                    {
                        "timestamp": moment(datetime.fromtimestamp(bucket, UTC)),
                        "value": requests,
                        "unit": "requests",
                    }
                    for bucket, requests in sorted(buckets.items())
                ],
                "unit": "requests",
            }
            for (service, status), buckets in sorted(found.items())
        ]


def known_until(end: datetime, lag: float) -> datetime:
    """Return how far the counts reach: they arrive ``lag`` seconds late."""
    return min(end, datetime.now(UTC) - timedelta(seconds=lag))
