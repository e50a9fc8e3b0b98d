"""HAProxy's runtime socket: the map that decides who is on the canary, and the counters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from .cohort import Assignment
from .counters import COMMAND, Counts, TrackCounts, parse

__all__ = ["Counts", "HAProxyError", "Runtime", "TrackCounts"]

TIMEOUT: Final = 2.0
"""Seconds for one command. HAProxy answers in about a millisecond."""
SELLERS_TIMEOUT: Final = 20.0
"""Seconds: a full table is some 10 MB of text."""
_SELLER: Final = re.compile(r"^0x\S+: key=(\S+)", re.M)
_PAYLOAD: Final = 8000
"""Bytes of map entries in one command; it must fit HAProxy's buffer (16 kB by default)."""


class HAProxyError(Exception):
    """HAProxy did not answer, or did not do what it was told."""


class Runtime:
    """Commands to one HAProxy. Not for concurrent writers: callers hold a lock around ``apply``."""

    def __init__(self, socket: Path, cohort_map: Path) -> None:
        self._socket = socket
        self._map = cohort_map

    async def read(self) -> list[tuple[str, str]]:
        """Return the map's entries, sorted, as HAProxy holds them. Raises :class:`HAProxyError`."""
        lines = (await self._ask(f"show map {self._map}")).splitlines()
        if any(line.strip() and not line.startswith("0x") for line in lines):
            raise HAProxyError("HAProxy does not know the map")
        # Each line is "<address> <key> <value>". A list, as a map may hold one key twice.
        fields = [line.split(" ", 2) for line in lines if line.strip()]
        return sorted((field[1], " ".join(field[2:])) for field in fields)

    async def apply(self, assignment: Assignment) -> bool:
        """Make HAProxy hold ``assignment``, read it back, and return whether that was a change.

        The new entries become visible all at once. Raises :class:`HAProxyError`.
        """
        entries = assignment.entries()
        wanted = sorted((key, str(value)) for key, value in entries.items())
        if await self.read() == wanted:
            return False
        answer = await self._ask(f"prepare map {self._map}")
        version = re.fullmatch(r"New version created: (\d+)", answer.strip())
        if version is None:
            raise HAProxyError(f"unexpected answer to 'prepare map': {answer[:80]!r}")
        for lines in _batches(entries):
            # An empty line ends the payload; _ask adds the second newline.
            await self._tell(f"add map @{version[1]} {self._map} <<\n{lines}")
        await self._tell(f"commit map @{version[1]} {self._map}")
        if await self.read() != wanted:
            raise HAProxyError("the map does not hold what was written")
        return True

    async def counts(self) -> Counts:
        """Return the counters per track. Raises :class:`HAProxyError`.

        A request counts once it is over. It is an error if it was answered with a 5xx or not at
        all. One that the stable track had to answer for the canary is an error of the canary, too.
        """
        text = await self._ask(COMMAND)
        try:
            return parse(text)
        except (KeyError, ValueError) as problem:
            raise HAProxyError(f"unexpected counters: {problem!r}") from problem

    async def sellers(self) -> Sequence[str]:
        """Return the sellers of the last three days, sorted: at most 100,000 of each track.

        Not since longer than HAProxy runs. Raises :class:`HAProxyError`.
        """
        tables = "show table sellers_stable;show table sellers_canary"
        text = await self._ask(tables, timeout=SELLERS_TIMEOUT)
        if text.count("# table: sellers_") != 2:
            raise HAProxyError("HAProxy does not know the tables of sellers")
        return sorted(set(_SELLER.findall(text)))

    async def _tell(self, command: str) -> None:
        answer = (await self._ask(command)).strip()
        if answer:
            raise HAProxyError(f"{command.partition(' /')[0]!r}: {answer[:120]}")

    async def _ask(self, command: str, *, timeout: float = TIMEOUT) -> str:
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    writer.write(command.encode() + b"\n")
                    return (await reader.read(-1)).decode()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as problem:
            raise HAProxyError(f"HAProxy does not answer ({type(problem).__name__})") from problem


def _batches(entries: Mapping[str, int]) -> Iterator[str]:
    batch: list[str] = []
    size = 0
    for key, value in entries.items():
        line = f"{key} {value}\n"
        if size + len(line) > _PAYLOAD:
            yield "".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    yield "".join(batch)
