"""What one edge knows, and how that changes: by the API, by PostHog, by what peers tell. No I/O.

Times are seconds of this machine's monotonic clock, handed in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .flag import Absent, Definition, Flag, Refused, accept, hear
from .latch import new_id
from .merge import Latches, add_latch, alive, merge_latches, merge_lease, merge_promotion
from .state import (
    ANY_RELEASE,
    Decision,
    Holder,
    Latch,
    Lease,
    NotFollowed,
    NotUnderWay,
    Promotion,
    Renewal,
    decide,
    grant,
    update_latch,
)
from .word import Word, tag


class Memory:
    """Definition, lease, kills and order to promote of one edge."""

    def __init__(self, instance: str, latches: Latches) -> None:
        self.instance = instance
        self.definition: Definition | None = None
        self.raw: Any = None
        """PostHog's own text of the definition, to hand on."""
        self.lease: Lease | None = None
        self.promotion: Promotion | None = None
        self.latches = latches

    def decide(self, now: float) -> Decision:
        """Return what is allowed now."""
        return decide(definition=self.definition, lease=self.lease, latch=self.killed, now=now)

    @property
    def killed(self) -> Latch | None:
        """The newest kill that holds."""
        return next(iter(alive(self.latches)), None)

    def living_lease(self, now: float) -> Lease | None:
        """Return the lease unless it has lapsed."""
        return self.lease if self.lease is not None and self.lease.alive(now) else None

    def renew(self, release: str, holder: Holder, ttl: float, now: float) -> None:
        """Take or renew the lease for ``ttl`` seconds.

        Raises :class:`~.state.LeaseHeld`, and :class:`~.state.NotFollowed` where the flag is one
        that cannot be followed.
        """
        if isinstance(self.definition, Refused):
            raise NotFollowed(f"the edge cannot follow the flag: {self.definition.reason}")
        by = Renewal(by=self.instance)
        wanted = Lease(release=release, holder=holder, expires=now + ttl, renewal=by)
        self.lease = grant(self.lease, wanted, now)

    def give_back(self, release: str, holder: Holder, now: float) -> None:
        """End the lease if this holder has it for this release."""
        lease = self.living_lease(now)
        if lease is not None and (lease.release, lease.holder) == (release, holder):
            # Not forgotten but lapsed, by a renewal of its own: else a peer would bring it back.
            over = Renewal(lease.renewal.term, lease.renewal.number + 1, self.instance)
            self.lease = replace(lease, expires=now, renewal=over)

    def promote(self, order: Promotion, now: float) -> None:
        """Keep an order for whoever holds the lease. Raises :class:`~.state.NotUnderWay`."""
        lease = self.living_lease(now)
        if lease is None or lease.release != order.release:
            raise NotUnderWay(f"no lease is held for {order.release!r}")
        before = self.promotion.number if self.promotion is not None else 0
        self.promotion = replace(order, number=before + 1)

    def kill(self, release: str | None, reason: str, now: float) -> str | None:
        """Latch a kill; return why not, where it is none.

        A named release that has lost the lease to another one cannot end that one. Without a name,
        nothing is latched while it is known that nothing is under way: such a latch would end the
        first release that comes.
        """
        lease = self.living_lease(now)
        if release is not None and lease is not None and lease.release != release:
            return f"{release} asked to be killed, but {lease.release} holds the lease"
        if release is None and self._idle(now):
            return "no release is under way that could be killed"
        named = release or self._running(now)
        stamp = self.definition.stamp if self.definition is not None else None
        record = self.definition.record if isinstance(self.definition, Flag) else None
        before = record.release if record is not None and record.release != named else ""
        latch = Latch(release=named, reason=reason, stamp=stamp, id=new_id(), before=before)
        self.latches = add_latch(self.latches, latch)
        return None

    def see(self, seen: Definition, raw: Any) -> bool:
        """Take in what PostHog answered; return whether that changed the definition."""
        return self._define(accept(self.definition, seen), seen, raw)

    def hear(self, word: Word, *, authority: bool, now: float) -> bool:
        """Take in what a peer knows; return whether there is a lease of another holder now.

        ``authority``: the peer polls PostHog for the fleet.
        """
        before = self.living_lease(now)
        self.lease = merge_lease(self.lease, word.lease)
        self.promotion = merge_promotion(self.promotion, word.promotion)
        self.latches = merge_latches(self.latches, word.latches)
        if word.definition is not None:
            heard = hear(self.definition, word.definition, authority=authority)
            self._define(heard, word.definition, word.raw)
        self._see_latches()
        after = self.living_lease(now)
        return after is not None and (before is None or before.holder != after.holder)

    def has(self, version: int | None) -> bool:
        """Tell whether the definition has at least this version."""
        stamp = self.definition.stamp if self.definition is not None else None
        return version is not None and stamp is not None and stamp.version >= version

    def word(self) -> Word:
        """Return what to tell a peer."""
        return Word(
            instance=self.instance,
            tag=tag(self.definition),
            definition=self.definition,
            raw=self.raw,
            lease=self.lease,
            promotion=self.promotion,
            latches=self.latches,
        )

    def _define(self, after: Definition, source: Definition, raw: Any) -> bool:
        changed = after != self.definition
        if after is source:
            self.raw = raw
        elif changed:
            self.raw = None  # made here (refused, or absent with a known stamp): there is no text
        self.definition = after
        self._see_latches()
        return changed

    def _see_latches(self) -> None:
        self.latches = {k: update_latch(one, self.definition) for k, one in self.latches.items()}

    def _idle(self, now: float) -> bool:
        """Whether it is known that no release is under way: nobody holds the lease, and no record.

        A release takes the lease before it writes its record.
        """
        if self.living_lease(now) is not None:
            return False
        match self.definition:
            case Absent() | Flag(record=None):
                return True
        return False

    def _running(self, now: float) -> str:
        """Name the release that a kill without a name is about."""
        lease = self.living_lease(now)
        if lease is not None:
            return lease.release
        if isinstance(self.definition, Flag) and self.definition.record is not None:
            return self.definition.record.release
        return self.lease.release if self.lease is not None else ANY_RELEASE
