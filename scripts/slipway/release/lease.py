"""The lease of a release at the edge: for how long the edge may act on its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from slipway.errors import Aborted, LeaseTaken, OutsideError, Refused, SlipwayError, Tripped
from slipway.ports import Clock, Edge, EdgeState, Holder
from slipway.release.journal import Journal

RENEW_EVERY = 30.0
"""Seconds between renewals of the lease, unless a sixth of it is less."""
TRIPWIRE = "tripwire"
"""Begins the reason of a kill by the edge itself: half of the candidate's answers are 5xx."""
_RENEWED = 2.0
"""Seconds by which a lease must end later than it did to have been renewed meanwhile."""
_LOOK_EVERY = 5.0
"""Seconds between two looks at a lease that may be a dead run's."""


class Lease:
    """Taken, renewed and given back for one release. ``ttl`` in seconds."""

    def __init__(
        self,
        edge: Edge,
        clock: Clock,
        journal: Journal,
        *,
        release: str,
        holder: Holder,
        ttl: float,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._journal = journal
        self._release = release
        self._holder = holder
        self._ttl = ttl
        self._renewed: float | None = None

    def keep_alive(self, *, force: bool = False) -> None:
        """Renew the lease when it is due. Raises :class:`Aborted` when it is lost.

        Nothing outside may be changed later than half a lease after the last renewal was *sent*:
        past that, the edge may be about to act on its own.
        """
        now = self._clock.monotonic()
        if self._renewed is not None and now - self._renewed > self._ttl / 2:
            raise Aborted(
                f"{now - self._renewed:.0f} s went by since the lease of {self._ttl:.0f} s was "
                "last renewed: something outside kept this job waiting",
                remedy="The edge may have put everybody back already. See the log for what was "
                "slow, then release again.",
            )
        due = min(RENEW_EVERY, self._ttl / 6)
        if not force and self._renewed is not None and now - self._renewed < due:
            return
        try:
            state = self._edge.renew(self._release, self._holder, self._ttl)
        except Refused as error:
            raise LeaseTaken(error.found, remedy=error.remedy) from error
        except OutsideError as error:
            if self._renewed is None:
                raise
            self._journal.trouble(f"renewing the lease: {error.found}")
        else:
            self._renewed = now
            self.see_not_killed(state)

    def hold_on(self) -> None:
        """On the way back: renew it where that works. Nothing depends on it any more, but whoever
        else comes waits, and the edge does not take this run for dead."""
        now = self._clock.monotonic()
        if self._renewed is None or now - self._renewed < min(RENEW_EVERY, self._ttl / 6):
            return
        self._renewed = now
        with suppress(SlipwayError):
            self._edge.renew(self._release, self._holder, self._ttl)

    def see_not_killed(self, state: EdgeState) -> None:
        """Raise :class:`Tripped` or :class:`Aborted` where the edge has ended this release."""
        if state.killed != self._release:
            return
        if (state.killed_reason or "").startswith(TRIPWIRE):
            raise Tripped(f"the edge ended it by itself: {state.killed_reason}")
        raise Aborted(
            f"this release was stopped at the edge: {state.why}",
            remedy="Somebody or something stopped this release at the edge. "
            "Find out why, then release again.",
        )

    def await_free(self, look: Callable[[], EdgeState]) -> None:
        """Wait until nobody else holds the edge: a run that died holds it until its lease lapses.

        Raises :class:`Refused` as soon as the lease is renewed: its release is alive. An earlier
        attempt of this very run is dead, and the edge gives its lease to the later one.
        """
        lapses: float | None = None
        shown = False
        while (state := look()).lease_remaining > 0 and self._is_anothers(state):
            now = self._clock.monotonic()
            lapses = lapses or now + state.lease_remaining
            if now + state.lease_remaining > lapses + _RENEWED:
                raise Refused(
                    f"release {state.lease_release} is under way: it holds the edge for another "
                    f"{state.lease_remaining:.0f} s, and renews that",
                    remedy="Wait until it has ended, or end it with Promote Previous Build.",
                )
            if not shown:
                shown = True
                self._journal.note(
                    f"release {state.lease_release} holds the edge for another "
                    f"{state.lease_remaining:.0f} s: waiting to see whether it is alive"
                )
            self._clock.sleep(min(_LOOK_EVERY, state.lease_remaining))

    def _is_anothers(self, state: EdgeState) -> bool:
        holder = state.lease_holder
        if state.lease_release in (None, self._release) or holder is None:
            return False
        same_run = holder.run_id == self._holder.run_id
        return not (same_run and holder.attempt < self._holder.attempt)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease, and give it back. Whoever else comes is refused meanwhile."""
        self.keep_alive(force=True)
        try:
            yield
        finally:
            self.give_back()

    def give_back(self) -> None:
        """End the lease. A failure is said: it lapses by itself."""
        self._renewed = None
        try:
            self._edge.give_back(self._release, self._holder)
        except SlipwayError as error:
            self._journal.trouble(f"giving the lease back: {error.found} (it lapses by itself)")
