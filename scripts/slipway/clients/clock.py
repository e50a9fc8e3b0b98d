"""The real clock, and the way to stop whoever waits on it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from slipway.errors import Cancelled
from slipway.ports import Clock


class SystemClock(Clock):
    """Time of this machine. :meth:`cancel` wakes every sleeper, which then raises ``Cancelled``."""

    def __init__(self) -> None:
        self._reason: str | None = None
        # A signal handler may run in the middle of any call on the same thread. SimpleQueue is
        # documented as safe for that; an Event's lock would deadlock.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._shields = threading.local()

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises :class:`Cancelled` at once when cancelled, even for 0 seconds."""
        seconds = max(0.0, seconds)
        if getattr(self._shields, "depth", 0):
            time.sleep(seconds)
        elif self.cancelled or self._woken(seconds):
            raise Cancelled(
                f"The job is being stopped ({self._reason})",
                remedy="The build is not blamed. Check the result of the clean-up, then start "
                "the release again.",
            )

    def cancel(self, reason: str = "cancelled") -> None:
        """Make every sleep raise from now on. May be called from a signal handler."""
        if self._reason is None:
            self._reason = reason
        self._wake.put(None)

    @property
    def cancelled(self) -> bool:
        """True after :meth:`cancel`, inside a shield too."""
        return self._reason is not None

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Let sleeps end in their own time: for rollback and clean-up, which must not be stopped.

        Holds for the thread that asks: one that goes on in the background must not keep the
        others from being stopped. May be nested.
        """
        self._shields.depth = getattr(self._shields, "depth", 0) + 1
        try:
            yield
        finally:
            self._shields.depth -= 1

    def _woken(self, seconds: float) -> bool:
        try:
            self._wake.get(timeout=seconds)
        except queue.Empty:
            return False
        self._wake.put(None)  # there may be other sleepers
        return True
