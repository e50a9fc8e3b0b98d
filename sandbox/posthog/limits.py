"""PostHog's rate limits, where they are switched on: how much is let through.

Numbers and shapes are those of PostHog's source: ``posthog/rate_limit.py`` for the REST API (one
sliding window for each personal key), ``rust/feature-flags`` for the SDKs' endpoints (a bucket
for each project that fills up again steadily).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], float]


class Window:
    """At most ``most`` requests in any ``seconds``; what is refused does not count."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._taken: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Return for how many seconds the next request is still refused; 0: it is let through."""
        while self._taken and self._taken[0] <= now - self._seconds:
            self._taken.popleft()
        if len(self._taken) < self._most:
            return 0.0
        return self._taken[0] + self._seconds - now

    def take(self, now: float) -> None:
        """Count a request."""
        self._taken.append(now)


class Bucket:
    """``burst`` requests at once, and ``rate`` more each second."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Return whether a request is let through."""
        since = 0.0 if self._at is None else now - self._at
        self._at = now
        self._left = min(self._burst, self._left + since * self._rate)
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How much is let through."""

    rest_minute: int = 480
    rest_hour: int = 4800
    definitions_minute: int = 600
    flags_burst: int = 625
    flags_second: float = 10.0
    queries_hour: int = 120
    """HogQL, of a team without API queries of its own."""


class Limits:
    """The limits of one project. ``None`` in :attr:`numbers`: nothing is limited."""

    def __init__(self, numbers: Numbers | None = None, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.set(numbers)

    def set(self, numbers: Numbers | None) -> None:
        """Begin anew with ``numbers``."""
        self.numbers = numbers
        self._keys: dict[str, tuple[Window, Window]] = {}
        if numbers is not None:
            per_second = numbers.definitions_minute / 60
            self._definitions = Bucket(numbers.definitions_minute, per_second)
            self._flags = Bucket(numbers.flags_burst, numbers.flags_second)
            self._queries = Window(numbers.queries_hour, 3600.0)

    def order(self, body: Mapping[str, Any]) -> None:
        """Switch on with the numbers in ``body`` over PostHog's own. Raises ``TypeError``."""
        self.set(Numbers(**body))

    def rest(self, key: str) -> float:
        """Return the seconds to wait that a REST call with ``key`` is told; 0: let through."""
        numbers, now = self.numbers, self._clock()
        if numbers is None:
            return 0.0
        fresh = (Window(numbers.rest_minute, 60.0), Window(numbers.rest_hour, 3600.0))
        windows = self._keys.setdefault(key, fresh)
        wait = max(window.wait(now) for window in windows)
        if wait == 0:
            for window in windows:
                window.take(now)
        return wait

    def query(self) -> float:
        """Return the seconds to wait that a HogQL query is told; 0: let through."""
        now = self._clock()
        wait = 0.0 if self.numbers is None else self._queries.wait(now)
        if self.numbers is not None and wait == 0:
            self._queries.take(now)
        return wait

    def definitions(self) -> bool:
        """Return whether a request for the definitions is let through."""
        return self.numbers is None or self._definitions.take(self._clock())

    def flags(self) -> bool:
        """Return whether an evaluation is let through."""
        return self.numbers is None or self._flags.take(self._clock())
