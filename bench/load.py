"""Load on loopback: wrk where the most counts, a paced client where each answer does."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_SCRIPT: Final = Path(__file__).with_name("wrk.lua")
_LENGTH: Final = re.compile(rb"\ncontent-length: *(\d+)", re.I)
_CANARY: Final = re.compile(rb"\nx-served-by: *canary\r", re.I)


class NotMeasured(Exception):
    """A measurement could not be made, or is not one; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk saw. Latencies in milliseconds."""

    requests: int
    seconds: float
    failed: int
    """Connections, reads, writes, timeouts, and answers above 399."""
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


async def wrk(address: str, *, connections: int, seconds: int) -> Load:
    """Send as much as ``connections`` take. Raises :class:`NotMeasured`."""
    found = shutil.which("wrk")
    if found is None:
        raise NotMeasured("wrk is not installed: `make bench` does that, or your system's packages")
    process = await asyncio.create_subprocess_exec(
        *(found, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT)),
        f"http://{address}/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + 15):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise NotMeasured(f"wrk did not end after {seconds} s") from None
    return parse_wrk(output.decode())


def parse_wrk(output: str) -> Load:
    """Read the line that wrk.lua writes. Raises :class:`NotMeasured` without one or a request."""
    line = re.search(r"^RESULT (.*)$", output, re.M)
    said = json.loads(line[1]) if line else {"requests": 0}
    if not said["requests"]:
        raise NotMeasured(f"wrk measured nothing: {output[-300:]!r}")
    return Load(
        requests=said["requests"],
        seconds=said["microseconds"] / 1e6,
        failed=said["failed"],
        p50=said["p50"] / 1000,
        p99=said["p99"] / 1000,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One request of the paced client; times of ``time.monotonic()``, in seconds."""

    target: int
    sent: float
    done: float
    ok: bool
    canary: bool

    @property
    def milliseconds(self) -> float:
        """From the request to the end of its answer."""
        return (self.done - self.sent) * 1000


@dataclass(slots=True)
class Paced:
    """Sends to each address at a fixed rate until stopped, over connections that are kept.

    ``rate`` is requests per second and address. All addresses take turns, so that whatever slows
    the machine meets each of them.
    """

    addresses: Sequence[tuple[str, int]]
    rate: float
    connections: int = 8
    answers: list[Answer] = field(default_factory=list)
    _stopped: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Paced:
        began = time.monotonic() + 0.05
        for target in range(len(self.addresses)):
            shift = target / len(self.addresses)
            slots = (began + (n + shift) / self.rate for n in itertools.count())
            for number in range(self.connections):
                work = self._work(target, number, slots)
                self._tasks.append(asyncio.create_task(work))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _work(self, target: int, number: int, slots: Iterator[float]) -> None:
        streams: Streams | None = None
        for nth, slot in enumerate(slots):
            await asyncio.sleep(max(0.0, slot - time.monotonic()))
            if self._stopped:
                break
            sent, ok, canary = time.monotonic(), False, False
            try:
                async with asyncio.timeout(5):
                    if streams is None:
                        streams = await asyncio.open_connection(*self.addresses[target])
                        sent = time.monotonic()
                    ok, canary = await _ask(streams, f"seller_{number}_{nth % 100}")
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                if streams is not None:
                    streams[1].close()
                streams = None
            self.answers.append(Answer(target, sent, time.monotonic(), ok, canary))
        if streams is not None:
            streams[1].close()


async def _ask(streams: Streams, seller: str) -> tuple[bool, bool]:
    """Send one request; return whether it was answered with 200, and whether by the canary."""
    reader, writer = streams
    writer.write(f"GET / HTTP/1.1\r\nHost: bench\r\nX-Seller-Id: {seller}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head.startswith(b"HTTP/1.1 200"), _CANARY.search(head) is not None
