"""Time, and the way to be stopped."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, and the way to be stopped."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Raises :class:`slipway.errors.Aborted` when the job is being cancelled."""
        ...

    def shielded(self) -> AbstractContextManager[None]:
        """Return a context in which ``sleep`` does not raise: the way back is never cancelled."""
        ...
