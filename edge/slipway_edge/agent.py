"""The edge's memory in action: what it is told reaches HAProxy, its peers and the disk.

Everything runs on one event loop. ``settle`` is the only place that writes to HAProxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from . import latch as latch_file
from .diary import Diary
from .flag import Refused, read
from .fleet import Member, chosen, document, latest, must_poll
from .haproxy import Runtime
from .memory import Memory
from .peers import SELLERS_TIMEOUT, TIMEOUT, Peers
from .posthog import Polls
from .sellers import Seen, seen
from .state import Decision, Holder, LeaseHeld, Promotion
from .word import MOST_PAGED, Poll, Word, decode, encode, tag

log = logging.getLogger("slipway_edge")

REFRESH_PAUSE: Final = 0.33
"""Seconds between two polls of a refresh: 180 a minute, where PostHog allows a team 600."""
SECOND_LOOK: Final = 2.0
"""Seconds that a renewal may wait for PostHog, where the flag known here cannot be followed."""


class NotYet(Exception):
    """The flag version that was waited for has not come; the message says what did."""


class NotSaved(Exception):
    """The kill holds, but a restart of the edge would forget it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a call: here, and which peers did not confirm it."""

    decision: Decision
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What the peers answered in one exchange, by address."""

    words: Mapping[str, Word]
    missing: tuple[str, ...]

    def each(self) -> list[tuple[str, Word]]:
        """Return the answers, one of each instance even if it has two addresses."""
        once = {word.instance: (address, word) for address, word in self.words.items()}
        return sorted(once.values(), key=lambda pair: pair[0])


class Agent:
    """One edge of a fleet. Raises :class:`HAProxyError` where HAProxy cannot be read back."""

    def __init__(
        self,
        *,
        flag_key: str,
        runtime: Runtime,
        polls: Polls,
        peers: Peers,
        instance: str,
        latch_path: Path,
        diary: Diary,
        fast_poll: float,
        slow_poll: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.flag_key = flag_key
        self.instance = instance
        self.peers = peers
        self.memory = Memory(instance, latch_file.load(latch_path))
        self.clock = clock
        self.poll_now = asyncio.Event()
        self.members: dict[str, Member] = {}
        self.paged: tuple[str, ...] = ()
        """Ids of the last pages that somebody took, from whichever edge."""
        self.diary = diary
        self._runtime = runtime
        self._polls = polls
        self._latch_path = latch_path
        self._saved = self.memory.latches
        self._cannot_save = False
        self._fast_poll = fast_poll
        self._slow_poll = slow_poll
        self._started = clock()
        self._said: str | None = None
        self._writing = asyncio.Lock()
        self._polling = asyncio.Lock()

    async def renew(self, release: str, holder: Holder, ttl: float) -> Done:
        """Take or renew the lease for ``ttl`` seconds, here and at all peers.

        Raises :class:`~.state.LeaseHeld` and :class:`~.state.NotFollowed`.
        """
        lease = self.memory.living_lease(self.clock())
        new = lease is None or (lease.holder, lease.release) != (holder, release)
        if new:
            # Another instance may know of a holder that this one has not heard of.
            await self.exchange()
        if isinstance(self.memory.definition, Refused):
            # It may have been put right a moment ago, and the slow poll be half a minute away.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECOND_LOOK):
                    await self.poll()
        self.memory.renew(release, holder, ttl, self.clock())
        if new:
            self.poll_now.set()  # the slow poll may be half a minute away
        done = await self._everywhere()
        lease = self.memory.living_lease(self.clock())
        if lease is not None and lease.holder == holder and lease.renewal.by != self.instance:
            # Others have heard of more renewals than this one had: its own counted for an old one.
            self.memory.renew(release, holder, ttl, self.clock())
            done = await self._everywhere()
            lease = self.memory.living_lease(self.clock())
        if lease is not None and lease.holder != holder:
            raise LeaseHeld(f"run {lease.holder.run_id} took the lease for {lease.release!r}")
        return done

    async def give_back(self, release: str, holder: Holder) -> Done:
        """End the lease, everywhere, if this holder has it for this release."""
        if self.memory.living_lease(self.clock()) is None:
            await self.exchange()
        self.memory.give_back(release, holder, self.clock())
        done = await self._everywhere()
        if self.memory.living_lease(self.clock()) is not None:
            # Others have heard of more renewals than this one had: it lives by one of them.
            self.memory.give_back(release, holder, self.clock())
            done = await self._everywhere()
        return done

    async def promote(self, order: Promotion) -> Done:
        """Keep an order for whoever holds the lease. Raises :class:`~.state.NotUnderWay`.

        It moves nobody: the controller of the release reads it, and decides.
        """
        lease = self.memory.living_lease(self.clock())
        if lease is None or lease.release != order.release:
            await self.exchange()
        self.memory.promote(order, self.clock())
        return await self._everywhere()

    async def kill(self, release: str | None, reason: str) -> Done:
        """Send everybody to stable, confirmed, until a later release begins; then tell all peers.

        Asks nothing of PostHog. Raises :class:`NotSaved` if the kill holds but could not be saved.
        What makes it no kill: see :meth:`Memory.kill`.
        """
        refused = self.memory.kill(release, reason, self.clock())
        if refused is not None:
            await self.exchange()  # a peer may know of a release that this one has not heard of
            refused = self.memory.kill(release, reason, self.clock())
        if refused is not None:
            log.warning("not killed here: %s", refused)
        done = await self._everywhere()
        if not self.save():
            raise NotSaved("the share is 0, but the kill could not be saved for a restart")
        return done

    async def refresh(self, version: int | None, timeout: float) -> Done:
        """Poll until the flag has at least ``version``, or once if ``None``; ``timeout`` in s.

        Every peer that answers has applied it then, too. Raises :class:`NotYet`.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self.memory.has(version):
                    good = await self.poll()
                    if self.memory.has(version) or (good and version is None):
                        break
                    await asyncio.sleep(REFRESH_PAUSE)
        except TimeoutError:
            wanted = "an answer" if version is None else f"version {version}"
            problem = f"; PostHog: {self._polls.error}" if self._polls.error else ""
            raise NotYet(f"no {wanted} within {timeout:g} s{problem}") from None
        return await self._everywhere()

    async def poll(self) -> bool:
        """Read the flag once; return whether PostHog answered. If not, the last flag stays."""
        async with self._polling:
            good, flags = await self._polls.fetch()
            if flags is not None:
                raw = next((f for f in flags if _key(f) == self.flag_key), None)
                self.memory.see(read(flags, self.flag_key), raw)
                self.save()
        return good

    def has_paged(self, *ids: str) -> None:
        """Remember that somebody was told of these."""
        self.paged = tuple(dict.fromkeys((*self.paged, *ids)))[-MOST_PAGED:]

    async def settle(self) -> Decision:
        """Make HAProxy hold what is allowed now, and read it back. Raises :class:`HAProxyError`."""
        async with self._writing:
            decision = self.decide()
            changed = await self._runtime.apply(decision.assignment)
        if changed and decision.why == self._said:
            log.warning("HAProxy did not hold what was written; repaired")
        if decision.why != self._said:
            log.info("%s", decision.why)
            self._said = decision.why
        return decision

    def decide(self) -> Decision:
        """Return what is allowed now."""
        return self.memory.decide(self.clock())

    async def exchange(self, *want: str) -> Heard:
        """Tell all peers what this edge knows, and hear what they know.

        ``want``: ``counts``, ``sellers`` or ``habits`` besides. Raises nothing.
        """
        words: dict[str, Word] = {}

        def message(address: str) -> dict[str, Any]:
            known = self.members.get(address)
            told = known.word.tag if known is not None else None
            return encode(self._word(told), self.clock(), want=want)

        def hear(address: str, answer: Mapping[str, Any]) -> None:
            word = decode(answer, self.flag_key, self.clock())
            self.members[address] = Member(address=address, word=word, heard=self.clock())
            words[address] = word
            self._hear(word)
            self.save()

        timeout = SELLERS_TIMEOUT if "sellers" in want else TIMEOUT
        missing = await self.peers.exchange(message, hear, timeout=timeout)
        present = self.peers.present()
        self.members = {a: member for a, member in self.members.items() if a in present}
        return Heard(words=words, missing=missing)

    async def answer(self, said: Mapping[str, Any], want: frozenset[str]) -> dict[str, Any]:
        """Take in what a peer said and answer with what this edge knows, read back from HAProxy.

        Raises :class:`~.word.BadWord`.
        """
        word = decode(said, self.flag_key, self.clock())
        if word.instance == self.instance:
            return {"instance": self.instance}
        self._hear(word)
        decision = await self.settle()
        self.save()
        told = replace(self._word(word.tag), share=decision.share)
        if "counts" in want:
            told = replace(told, counts=await self.counts())
        if "sellers" in want:
            sellers = await self.sellers()
            told = replace(told, buckets=tuple(sellers.buckets), seconds=sellers.seconds)
        if "habits" in want:
            told = replace(told, habits=await self.diary.read())
        return encode(told, self.clock())

    async def counts(self) -> dict[str, Any]:
        """Return this instance's counters."""
        told = document(await self._runtime.counts())
        # In containers that start together HAProxy has the same process id and second everywhere.
        told["epoch"] = f"{self.instance}-{told['epoch']}"
        return told

    async def sellers(self) -> Seen:
        """Return the sellers that this instance has seen lately."""
        return await seen(self._runtime, self.flag_key, self.clock() - self._started)

    def interval(self) -> float:
        """Seconds between two polls of PostHog: fast while a lease lives."""
        alive = self.memory.living_lease(self.clock()) is not None
        return self._fast_poll if alive else self._slow_poll

    def must_poll(self) -> bool:
        """Tell whether this instance is the one to poll PostHog."""
        now = self.clock()
        return must_poll(self.instance, self.members.values(), now, interval=self.interval())

    def own_poll(self) -> Poll:
        """Return how this instance's own polls went."""
        poller = chosen(self.instance, self.members.values(), self.clock())
        return self._polls.report(mine=poller is None)

    def fleet_poll(self) -> Poll:
        """Return how the fleet's last poll went."""
        return latest(self.own_poll(), self.members.values(), self.clock())

    def save(self) -> bool:
        """Write the kills to disk if they are not there; return whether they are."""
        latches = self.memory.latches
        if latches == self._saved:
            return True
        try:
            latch_file.save(self._latch_path, latches)
        except OSError as problem:
            if not self._cannot_save:
                log.error("the kill latch cannot be saved: %s", problem)
            self._cannot_save = True
            return False
        self._saved, self._cannot_save = latches, False
        return True

    async def _everywhere(self) -> Done:
        """Do what is known now here, then at all peers. Raises :class:`HAProxyError`.

        Peers are told even if this instance's own HAProxy does not answer.
        """
        try:
            await self.settle()
        finally:
            heard = await self.exchange()
            known = tag(self.memory.definition)
            if any(word.tag != known for word in heard.words.values()):
                # One that has just restarted was not told the definition.
                heard = await self.exchange()
        return Done(decision=await self.settle(), missing=heard.missing)

    def _hear(self, word: Word) -> None:
        self.has_paged(*word.paged)
        if self.memory.hear(word, authority=self._is_authority(word), now=self.clock()):
            self.poll_now.set()

    def _is_authority(self, word: Word) -> bool:
        poller = chosen(self.instance, self.members.values(), self.clock())
        return poller is not None and poller.word.instance == word.instance

    def _word(self, told: str | None) -> Word:
        """Return what to tell a peer that acts on the definition named ``told``."""
        word = replace(self.memory.word(), poll=self.own_poll(), paged=self.paged)
        return replace(word, definition=None, raw=None) if told == word.tag else word


def _key(raw: Any) -> Any:
    return raw.get("key") if isinstance(raw, Mapping) else None


def new_instance() -> str:
    """Return an id for this run of the edge."""
    return secrets.token_hex(8)
