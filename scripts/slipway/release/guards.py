"""Guards: what is looked at beside counts, from a candidate's deploy until it is settled.

Each look says that the candidate is bad, or that nothing good can be said of it now, or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from slipway.background import Start, Task
from slipway.errors import Inconsistent, SlipwayError
from slipway.ports import Clock

LATE: Final = 60.0
"""Seconds after which a look that has not ended is a reason to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look of a guard found."""

    trip: SlipwayError | None = None
    """Why the candidate is bad."""
    hold: str | None = None
    """Why nothing good can be said of it now. What is not known is never good."""


class Guard(Protocol):
    """Looks at one thing. Raises for what ends a release without blaming the build."""

    def look(self) -> Look:
        """Look once."""
        ...


class Beside:
    """A guard that may take its time: it looks beside the main path, every so often.

    The lease and the counts do not wait for it. What it found counts until it has looked again.
    """

    def __init__(
        self, name: str, guard: Guard, *, every: float, clock: Clock, start: Start
    ) -> None:
        self._name = name
        self._guard = guard
        self._every = every
        self._clock = clock
        self._start = start
        self._task: Task | None = None
        self._asked = self._due = self._began = clock.monotonic()
        self._got: Look | Exception | None = None
        self._last = Look()
        self._stale = True

    def begin(self) -> None:
        """What was found until now says nothing of what begins: look again, at once."""
        self._began = self._due = self._clock.monotonic()
        self._stale = True

    def look(self) -> Look:
        """Return what the last look found, and look again where it is time to."""
        now = self._clock.monotonic()
        self._take()
        # What is bad stays bad, and on the way back nobody is to be in the way of it.
        if self._task is None and self._last.trip is None and now >= self._due:
            self._asked, self._due = now, now + self._every
            self._task = self._start(self._ask)
            self._take()
        if self._task is not None and now - self._asked >= LATE:
            return Look(hold=f"{self._name}: no answer for {now - self._asked:.0f} s")
        if self._stale and self._last.trip is None:
            return Look(hold=self._last.hold or f"{self._name}: not looked at yet")
        return self._last

    def _take(self) -> None:
        if self._task is None or not self._task.done():
            return
        self._task, got = None, self._got
        if isinstance(got, Exception):
            raise got
        if self._asked >= self._began:  # else it was begun before the step
            self._stale = False
        self._last = got or Look()

    def _ask(self) -> None:
        try:
            self._got = self._guard.look()
        except Exception as error:  # told to whoever asked: this may be a thread of its own
            self._got = error


class Guards:
    """All guards of one release."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self.hold: str | None = None
        """Why nothing good can be said of the candidate now; the first of them."""

    def begin(self) -> None:
        """A step begins: each has to look in it."""
        for guard in self._guards:
            if isinstance(guard, Beside):
                guard.begin()

    def look(self, trip: Callable[[SlipwayError], None]) -> None:
        """Look through each; ``trip`` is called with why the candidate is bad.

        Where several say so, inconsistent data come first: more follows from them.
        """
        looks = [guard.look() for guard in self._guards]
        self.hold = next((look.hold for look in looks if look.hold), None)
        trips = [look.trip for look in looks if look.trip is not None]
        for found in sorted(trips, key=lambda found: not isinstance(found, Inconsistent)):
            trip(found)
