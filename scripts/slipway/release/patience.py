"""Trying again until a stated time: an outage may not end a way back, nor hold it up for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from slipway.errors import Aborted, NotFound, OutsideError, SlipwayError, Unauthorized
from slipway.release.deploys import PROGRESS_EVERY, Ports, Pulse, no_pulse, pause

REFUSED: Final = 3
"""Times in a row that a key may not be accepted, or an id not be known: a proxy before a system
that is down answers so too, and a key that was withdrawn does not come back."""

T = TypeVar("T")


class Patience:
    """How long one thing is tried, in seconds from now. The log is told until when."""

    def __init__(self, ports: Ports, what: str, deadline: float, pulse: Pulse = no_pulse) -> None:
        """``what``: in the middle of a sentence, such as ``going back on bot``."""
        self._ports = ports
        self._pulse = pulse
        self._what = what
        self._until = ports.clock.monotonic() + deadline
        self._said: tuple[str, float] = ("", 0.0)
        self._refused = 0
        self.until = f"{ports.clock.now() + timedelta(seconds=deadline):%H:%M:%S} UTC"

    @property
    def left(self) -> float:
        """Seconds; not below 0."""
        return max(0.0, self._until - self._ports.clock.monotonic())

    def again(self, error: SlipwayError) -> None:
        """Say why it has not worked, and wait a moment. Raises ``error`` where that is in vain."""
        refused = isinstance(error, Unauthorized | NotFound)
        self._refused = self._refused + 1 if refused else 0
        if self._refused >= REFUSED or not self.left:
            raise error
        self.wait(error.found, kind=type(error).__name__)

    def wait(self, why: str, *, kind: str = "") -> None:
        """Wait a moment; say why at first, and every half minute that it goes on.

        ``kind`` of what happened: another one is said at once. The words differ each time.
        """
        now = self._ports.clock.monotonic()
        text = f"{self._what}, tried again until {self.until} ({self.left:.0f} s): {why}"
        if (kind or why) != self._said[0]:
            self._said = (kind or why, now)
            self._ports.journal.trouble(text)
        elif now - self._said[1] >= PROGRESS_EVERY:
            self._said = (kind or why, now)
            # A note: of warnings, a run's page shows ten.
            self._ports.journal.note(text)
        pause(self._ports, self._ports.poll, self._pulse)


def patiently(ports: Ports, what: str, act: Callable[[], T], *, deadline: float) -> T:
    """Do what changes nothing when it is done twice, until it works. Raises as the last try did.

    Only what comes from outside is tried again.
    """
    patience = Patience(ports, what, deadline)
    while True:
        try:
            return act()
        except Aborted:
            raise
        except OutsideError as error:
            patience.again(error)
