"""What the edge knows, and the loops that keep HAProxy equal to what that allows.

Everything runs on one event loop. ``settle`` is the only place that writes to HAProxy.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from . import latch as latch_file
from .flag import Absent, Definition, Flag, accept, read
from .haproxy import Counts, HAProxyError, Runtime
from .posthog import Definitions, PostHogError
from .state import (
    ANY_RELEASE,
    Decision,
    Holder,
    Latch,
    Lease,
    NotUnderWay,
    Promotion,
    decide,
    grant,
    update_latch,
)

log = logging.getLogger("slipway_edge")

TICK: Final = 0.25
"""Seconds between two comparisons of HAProxy with what is allowed; so late may a lapse be seen."""
_REFRESH_PAUSE: Final = 0.33
"""Seconds between two polls of a refresh: 180 a minute, where PostHog allows a team 600."""


class NotYet(Exception):
    """The flag version that was waited for has not come; the message says what did."""


class NotSaved(Exception):
    """The kill holds, but a restart of the edge would forget it."""


class Agent:
    """The edge's memory. Raises :class:`HAProxyError` where HAProxy cannot be read back."""

    def __init__(
        self,
        *,
        flag_key: str,
        runtime: Runtime,
        definitions: Definitions,
        latch_path: Path,
        fast_poll: float,
        slow_poll: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flag_key = flag_key
        self._runtime = runtime
        self._definitions = definitions
        self._latch_path = latch_path
        self._fast_poll = fast_poll
        self._slow_poll = slow_poll
        self._clock = clock
        self._definition: Definition | None = None
        self._lease: Lease | None = None
        self._latch = latch_file.load(latch_path)
        self._promotion: Promotion | None = None
        self._unsaved = False
        self._last_poll: float | None = None
        self._poll_error: str | None = None
        self._said: str | None = None
        self._poll_now = asyncio.Event()
        self._writing = asyncio.Lock()
        self._polling = asyncio.Lock()

    async def renew(self, release: str, holder: Holder, ttl: float) -> Decision:
        """Take or renew the lease for ``ttl`` seconds. Raises :class:`~.state.LeaseHeld`."""
        now = self._clock()
        wanted = Lease(release=release, holder=holder, expires=now + ttl)
        before = self._lease
        self._lease = grant(before, wanted, now)
        if before is None or before.release != release or not before.alive(now):
            self._poll_now.set()  # the slow poll may be half a minute away
        return await self.settle()

    async def give_back(self, release: str, holder: Holder) -> Decision:
        """End the lease if this holder has it for this release."""
        lease = self._lease
        if lease is not None and (lease.release, lease.holder) == (release, holder):
            self._lease = None
        return await self.settle()

    async def promote(self, promotion: Promotion) -> Decision:
        """Keep an order for whoever holds the lease. Raises :class:`~.state.NotUnderWay`.

        It moves nobody: the controller of the release reads it, and decides.
        """
        lease = self._lease
        if lease is None or not lease.alive(self._clock()) or lease.release != promotion.release:
            raise NotUnderWay(f"no lease is held for {promotion.release!r}")
        self._promotion = promotion
        return await self.settle()

    async def kill(self, release: str | None, reason: str) -> Decision:
        """Send everybody to stable, confirmed, until a later release begins.

        Asks nothing of PostHog. Raises :class:`NotSaved` if the kill holds but could not be saved.
        A named release that has lost the lease to another one cannot end that one.
        """
        lease = self._lease
        taken_over = lease is not None and lease.alive(self._clock())
        if release is not None and lease is not None and taken_over and lease.release != release:
            log.warning("%s asked to be killed, but %s holds the lease", release, lease.release)
            return await self.settle()
        if release is None and self._idle():
            # A latch without a name would end the first release that comes.
            return await self.settle()
        stamp = self._definition.stamp if self._definition is not None else None
        self._latch = Latch(release=release or self._running(), reason=reason, stamp=stamp)
        decision = await self.settle()
        if not self._save_latch():
            raise NotSaved("the share is 0, but the kill could not be saved for a restart")
        return decision

    async def refresh(self, version: int | None, timeout: float) -> Decision:
        """Poll until the flag has at least ``version``, or once if ``None``; ``timeout`` in s.

        Raises :class:`NotYet`.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._has(version):
                    good = await self.poll()
                    if self._has(version) or (good and version is None):
                        break
                    await asyncio.sleep(_REFRESH_PAUSE)
        except TimeoutError:
            wanted = "an answer" if version is None else f"version {version}"
            problem = f"; PostHog: {self._poll_error}" if self._poll_error else ""
            raise NotYet(f"no {wanted} within {timeout:g} s{problem}") from None
        return await self.settle()

    async def poll(self) -> bool:
        """Read the flag once; return whether PostHog answered. If not, the last flag stays."""
        async with self._polling:
            try:
                flags = await self._definitions.fetch()
            except PostHogError as problem:
                if self._poll_error != str(problem):
                    log.warning("PostHog: %s; the last flag stays", problem)
                self._poll_error = str(problem)
                return False
            self._last_poll, self._poll_error = self._clock(), None
            if flags is not None:
                self._definition = accept(self._definition, read(flags, self._flag_key))
                self._see_latch()
        return True

    async def settle(self) -> Decision:
        """Make HAProxy hold what is allowed now, and read it back. Raises :class:`HAProxyError`."""
        async with self._writing:
            decision = self._decide()
            changed = await self._runtime.apply(decision.assignment)
        if changed and decision.why == self._said:
            log.warning("HAProxy did not hold what was written; repaired")
        if decision.why != self._said:
            log.info("%s", decision.why)
            self._said = decision.why
        return decision

    async def counts(self) -> Counts:
        """Return HAProxy's counters."""
        return await self._runtime.counts()

    def describe(self, decision: Decision | None = None) -> dict[str, Any]:
        """Return the state for the HTTP API; ``decision`` is what HAProxy was last seen to hold."""
        now = self._clock()
        shown = decision or self._decide()
        flag = self._definition if isinstance(self._definition, Flag) else None
        record = flag.record if flag is not None else None
        stamp = self._definition.stamp if self._definition is not None else None
        lease = self._lease if self._lease is not None and self._lease.alive(now) else None
        order = self._promotion
        return {
            "share": shown.share,
            "flag": self._flag_key,
            "flag_version": stamp.version if stamp is not None else None,
            "phase": record.phase if record is not None else None,
            "release": record.release if record is not None else None,
            "candidate": record.candidate if record is not None else None,
            "lease": None
            if lease is None
            else {
                "release": lease.release,
                "holder": {"run_id": lease.holder.run_id, "attempt": lease.holder.attempt},
                "remaining": round(lease.expires - now, 3),
            },
            "promote": {"by": order.by, "reason": order.reason}
            if order is not None and lease is not None and order.release == lease.release
            else None,
            "killed": self._latch.release if self._latch is not None else None,
            "why": shown.why,
            "posthog": {
                "ok": self._last_poll is not None and self._poll_error is None,
                "age": None if self._last_poll is None else round(now - self._last_poll, 3),
                "error": self._poll_error,
            },
        }

    async def tick_forever(self) -> None:
        """Settle several times a second: lapsed leases, drift, kills that could not be saved."""
        failing = False
        while True:
            try:
                await self.settle()
                failing = False
            except HAProxyError as problem:
                if not failing:
                    log.error("%s", problem)
                failing = True
            if self._unsaved:
                self._save_latch()
            await asyncio.sleep(TICK)

    async def poll_forever(self) -> None:
        """Poll PostHog: fast while a lease lives, slowly otherwise."""
        while True:
            self._poll_now.clear()
            await self.poll()
            alive = self._lease is not None and self._lease.alive(self._clock())
            try:
                async with asyncio.timeout(self._fast_poll if alive else self._slow_poll):
                    await self._poll_now.wait()
            except TimeoutError:
                continue

    def _decide(self) -> Decision:
        return decide(
            definition=self._definition, lease=self._lease, latch=self._latch, now=self._clock()
        )

    def _has(self, version: int | None) -> bool:
        stamp = self._definition.stamp if self._definition is not None else None
        return version is not None and stamp is not None and stamp.version >= version

    def _idle(self) -> bool:
        """Whether it is known that no release is under way: nobody holds the lease, and no record.

        A release takes the lease before it writes its record.
        """
        if self._lease is not None and self._lease.alive(self._clock()):
            return False
        match self._definition:
            case Absent() | Flag(record=None):
                return True
        return False

    def _running(self) -> str:
        """Name the release that a kill without a name is about."""
        lease = self._lease
        if lease is not None and lease.alive(self._clock()):
            return lease.release
        if isinstance(self._definition, Flag) and self._definition.record is not None:
            return self._definition.record.release
        return lease.release if lease is not None else ANY_RELEASE

    def _see_latch(self) -> None:
        after = update_latch(self._latch, self._definition)
        if after != self._latch:
            self._latch = after
            self._save_latch()

    def _save_latch(self) -> bool:
        try:
            latch_file.save(self._latch_path, self._latch)
            self._unsaved = False
        except OSError as problem:
            if not self._unsaved:
                log.error("the kill latch cannot be saved: %s", problem)
            self._unsaved = True
        return not self._unsaved
