"""The other instances of the edge: where they are, and an exchange with all side by side."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import httpx

from .settings import Peer
from .word import BadWord

log = logging.getLogger("slipway_edge")

PATH: Final = "/.slipway/peer"
TIMEOUT: Final = 1.0
"""Seconds for an exchange as a whole: a kill waits so long for a peer that is gone."""
RESOLVE_EVERY: Final = 5.0
"""Seconds between two look-ups of the peers' names."""
_STALE: Final = 30.0
"""Seconds without an answer for a name, after which nobody can say who the peers are."""
SELLERS_TIMEOUT: Final = 4.0
"""Seconds for an exchange of sellers: a full table takes HAProxy and Python a while."""
MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of one answer: buckets of some 300,000 sellers."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Addresses:
    """The peers' addresses, looked up again and again: instances come and go."""

    def __init__(
        self,
        peers: Sequence[Peer],
        *,
        resolve: Resolve | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peers = peers
        self._resolve = resolve or _look_up
        self._clock = clock
        self._known: dict[Peer, tuple[str, ...]] = {}
        self._answered: dict[Peer, float] = {}
        self._failing: set[Peer] = set()
        self._next = 0.0

    async def refresh(self) -> None:
        """Look the names up, if that is due. One that has no answer keeps its addresses."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + RESOLVE_EVERY
        await asyncio.gather(*(self._refresh(peer) for peer in self._peers))

    def all(self) -> list[str]:
        """Return all addresses, ``host:port``, each once, sorted."""
        return sorted({address for known in self._known.values() for address in known})

    def unknown(self) -> list[str]:
        """Return the names that have had no answer for a while: who is behind them is not known."""
        late = self._clock() - _STALE
        return [
            peer.text
            for peer in self._peers
            if peer not in self._known or self._answered[peer] < late
        ]

    async def _refresh(self, peer: Peer) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                hosts = await self._resolve(peer.host, peer.port)
        except (OSError, TimeoutError, UnicodeError) as problem:
            if peer not in self._failing:
                log.warning("%s cannot be looked up: %s", peer.text, type(problem).__name__)
            self._failing.add(peer)
            return
        self._failing.discard(peer)
        self._known[peer] = tuple(
            f"[{host}]:{peer.port}" if ":" in host else f"{host}:{peer.port}" for host in hosts
        )
        self._answered[peer] = self._clock()


class Peers:
    """Sends one message to each peer and hands on what they answer."""

    def __init__(self, addresses: Addresses, *, token: str, instance: str) -> None:
        self._addresses = addresses
        self._instance = instance
        self._self: set[str] = set()
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=SELLERS_TIMEOUT,  # at most; each exchange has its own
            trust_env=False,  # a proxy of the surroundings must not receive the token
            # Peers speak plain HTTP on the private network: no certificates are loaded for it.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        self.missing: tuple[str, ...] = tuple(addresses.unknown())
        """Peers that did not answer the last exchange, and names that could not be looked up."""

    async def exchange(
        self,
        message: Callable[[str], Mapping[str, Any]],
        hear: Callable[[str, Mapping[str, Any]], None],
        *,
        timeout: float = TIMEOUT,
    ) -> tuple[str, ...]:
        """Send ``message(address)`` to every peer; ``hear`` each answer as it comes.

        Returns the addresses that are missing. ``hear`` may raise :class:`BadWord`.
        """
        addresses = self._addresses.all()
        self._self &= set(addresses)
        others = [address for address in addresses if address not in self._self]
        answered = await asyncio.gather(*(self._one(a, message(a), hear, timeout) for a in others))
        silent = [a for a, good in zip(others, answered, strict=True) if not good]
        missing = (*silent, *self._addresses.unknown())
        if missing != self.missing:
            log.warning("edges that do not answer: %s", ", ".join(missing) or "none")
        self.missing = missing
        return missing

    async def look_up(self) -> None:
        """Look the peers' names up, if that is due. Apart: a kill does not wait for a name."""
        await self._addresses.refresh()

    def present(self) -> frozenset[str]:
        """Return the addresses that are in the list now, without this instance's own."""
        return frozenset(self._addresses.all()) - self._self

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _one(
        self,
        address: str,
        message: Mapping[str, Any],
        hear: Callable[[str, Mapping[str, Any]], None],
        timeout: float,
    ) -> bool:
        try:
            async with asyncio.timeout(timeout):
                content = json.dumps(message).encode()
                try:
                    answer = await self._ask(address, content)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    # A kept connection that the peer has closed: once more, on a new one.
                    answer = await self._ask(address, content)
            if answer.get("instance") == self._instance:
                self._self.add(address)
                return True
            hear(address, answer)
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError, BadWord) as problem:
            log.debug("%s: %s", address, type(problem).__name__)
            return False
        return True

    async def _ask(self, address: str, content: bytes) -> Mapping[str, Any]:
        request = self._client.build_request("POST", f"http://{address}{PATH}", content=content)
        answer = await self._client.send(request, stream=True)
        try:
            if answer.status_code != httpx.codes.OK:
                raise BadWord(f"HTTP {answer.status_code}")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise BadWord("a longer answer than any edge gives")
        finally:
            await answer.aclose()
        read = json.loads(body)
        if not isinstance(read, dict):
            raise BadWord("not a JSON object")
        return read


async def _look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})
