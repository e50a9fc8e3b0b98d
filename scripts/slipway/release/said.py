"""What the ledger says of earlier builds, read beside the way back, which never waits long for it.

It is read newest first, as it comes: the build that is asked about is usually among the first.
"""

from __future__ import annotations

from enum import StrEnum

from slipway.background import Start
from slipway.errors import SlipwayError
from slipway.ports import Clock, Shipped
from slipway.release.ledger import RELEASES, Ledger

DEADLINE = 10.0
"""Seconds from the beginning until what has not been said counts as not readable."""
_LOOK_EVERY = 0.05


class Word(StrEnum):
    """What the ledger says of a build."""

    PASSED = "it passed"
    BAD = "it was found bad"
    NEVER = "it never passed"
    UNKNOWN = "no deployment names it"
    UNREAD = "the deployments could not be read"


class Said:
    """The ledger's newest entries, as far as they have been read."""

    def __init__(self, ledger: Ledger, start: Start, clock: Clock) -> None:
        """Begin to read."""
        self.trouble = ""
        """Why not everything was read; empty while it may still be."""
        self._ledger = ledger
        self._clock = clock
        self._until = clock.monotonic() + DEADLINE
        self._entries: list[Shipped] = []
        self._all = False
        self._task = start(self._read)

    def _read(self) -> None:
        try:
            for entry in self._ledger.recent():
                self._entries.append(entry)
        except SlipwayError as error:
            self.trouble = error.found
        except Exception as error:
            # A bug here must not keep anybody on a bad build.
            self.trouble = type(error).__name__
        else:
            self._all = True

    def of(self, build: str | None) -> Word:
        """Return what is said of ``build``. Waits for it, until :data:`DEADLINE` at most."""
        while True:
            ended = self._task.done()
            named = [entry for entry in tuple(self._entries) if build and entry.build == build]
            word = next((entry for entry in named if entry.passed or entry.blamed), None)
            if word is not None:
                return Word.PASSED if word.passed else Word.BAD
            if ended:
                break
            if self._clock.monotonic() >= self._until:
                self.trouble = self.trouble or f"GitHub had not answered after {DEADLINE:.0f} s"
                return Word.UNREAD
            self._task.wait(_LOOK_EVERY)
        if not self._all:
            return Word.UNREAD
        return Word.NEVER if any(e.task in RELEASES for e in named) else Word.UNKNOWN
