"""A clock that moves only when it is told to."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from slipway.ports import Clock
from tests.unit.builds import START


class Ticks(Clock):
    """``sleep`` moves it on."""

    def __init__(self) -> None:
        self._passed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._passed += seconds

    def shielded(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()
