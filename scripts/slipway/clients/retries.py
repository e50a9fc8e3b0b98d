"""When an HTTP call is tried again, and how long it waits before.

One rule decides it: a request that may have been carried out is only repeated if repeating it
changes nothing.

========================================  ===========  ==================
what happened                             GET, HEAD    any other method
========================================  ===========  ==================
no connection (nothing was sent)          again        again
429 (refused before it was carried out)   again        again
502, 503, 504                             again        never
sent, then no answer or a broken one      again        never
========================================  ===========  ==================
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import InvalidHeader

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
PASSING_STATUSES: Final = frozenset({502, 503, 504})
"""What a proxy answers while the service behind it is away for a moment."""
TOO_MANY: Final = 429
EPOCH_FROM: Final = 1e9
"""Render's docs call Ratelimit-Reset an epoch; recorded answers hold seconds to wait. Larger than
this (2001 as an epoch, 31 years as a wait) it can only be the former."""

Notice = Callable[[str], None]
Sleep = Callable[[float], None]


def silent(_message: str) -> None:
    """Tell nobody: the notice of a caller that wants none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one call may take. All times in seconds."""

    attempts: int = 5
    """Requests sent at most for one call, the first included."""
    backoff: float = 0.5
    """Pause before the second attempt; doubled before each later one."""
    backoff_max: float = 10.0
    jitter: float = 0.5
    """A random part of this is added to every pause."""
    rate_limit_cap: float = 60.0
    """Longest single pause when the other side says how long to wait."""
    connect_timeout: float = 5.0
    read_timeout: float = 30.0


BRISK: Final = Patience(attempts=1, connect_timeout=2.0, read_timeout=3.0)
"""One short try, for what is nice to know but not needed."""


class BoundedRetry(Retry):
    """The table above, as urllib3 asks it."""

    def __init__(
        self, *, patience: Patience, name: str, notice: Notice, pause: Sleep, **kwargs: Any
    ) -> None:
        kwargs.setdefault("total", patience.attempts - 1)
        # A TLS failure may come while an answer is read: not ours to repeat.
        kwargs.setdefault("other", 0)
        kwargs.setdefault("allowed_methods", SAFE_METHODS)
        kwargs.setdefault("raise_on_status", False)
        super().__init__(**kwargs)
        self._patience = patience
        self._name = name
        self._notice = notice
        self._pause = pause

    def new(self, **kw: Any) -> Self:
        """Copy, as urllib3 does before every further attempt."""
        return super().new(
            patience=self._patience, name=self._name, notice=self._notice, pause=self._pause, **kw
        )

    def is_retry(
        self,
        method: str,
        status_code: int,
        has_retry_after: bool = False,  # noqa: ARG002 - urllib3's signature
    ) -> bool:
        """Whether an answer with this status is asked for again."""
        if status_code == TOO_MANY:
            return True
        return method.upper() in SAFE_METHODS and status_code in PASSING_STATUSES

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next attempt: as long as the other side asked, else the backoff."""
        asked = None if response is None else self._asked(response)
        if asked is None:
            self._pause(self.get_backoff_time())
            return
        # Its first moment is everybody's: the jitter comes on top.
        wait = min(self._patience.rate_limit_cap, asked + self._jitter())
        made, most = len(self.history), self._patience.attempts
        self._notice(f"{self._name} asks to wait: {wait:.0f} s, then attempt {made + 1} of {most}")
        self._pause(wait)

    def get_backoff_time(self) -> float:
        """Return the pause in seconds after the failures so far."""
        grown = self._patience.backoff * 2.0 ** max(0, len(self.history) - 1)
        return min(self._patience.backoff_max, grown) + self._jitter()

    def _jitter(self) -> float:
        return random.random() * self._patience.jitter  # noqa: S311 - spreads load, guards nothing

    def _asked(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds the answer asks to wait, or ``None`` if it does not say."""
        after = retry_after(self, response)
        if after is not None or response.status != TOO_MANY:
            return after
        try:
            reset = float(response.headers.get("Ratelimit-Reset", ""))
        except ValueError:
            return None
        if math.isnan(reset):
            return None
        return max(0.0, reset - time.time() if reset > EPOCH_FROM else reset)


def retry_after(retry: Retry, response: BaseHTTPResponse) -> float | None:
    """Return the seconds in Retry-After; ``None`` without one, or with one nobody can read."""
    try:
        return retry.get_retry_after(response)
    except (InvalidHeader, ValueError, OverflowError):
        return None
