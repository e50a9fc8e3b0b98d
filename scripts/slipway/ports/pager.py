"""Where somebody is paged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What a person is told at 3 a.m.: one thing, and what to do."""

    id: str
    """The same for the same event, however often it is sent."""
    title: str
    text: str
    """Why, with the numbers that decided; a few sentences."""
    action: str
    """What to do now; empty: nothing."""
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values: service, build, result, times."""
    url: str | None = None
    """The run."""


class Pager(Protocol):
    """Pages. Raises :class:`slipway.errors.OutsideError` where nobody took it."""

    def page(self, alarm: Alarm) -> None:
        """Send it."""
        ...
