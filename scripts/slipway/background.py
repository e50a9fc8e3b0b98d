"""Doing something beside the main path without being held by it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from slipway.errors import Unreachable

T = TypeVar("T")


class Task(Protocol):
    """Something under way."""

    def done(self) -> bool:
        """Return whether it has ended."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most ``seconds``."""
        ...


Start = Callable[[Callable[[], None]], Task]
"""Starts a function that does not raise."""


class _Thread:
    def __init__(self, function: Callable[[], None]) -> None:
        # A daemon: a call that is never answered must not keep the process from ending.
        self._thread = threading.Thread(target=function, daemon=True)
        self._thread.start()

    def done(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)


def in_thread(function: Callable[[], None]) -> Task:
    """Run ``function`` in a thread of its own."""
    return _Thread(function)


class _Done:
    def done(self) -> bool:
        return True

    def wait(self, seconds: float) -> None:
        del seconds


def at_once(function: Callable[[], None]) -> Task:
    """Run ``function`` now, and return when it has ended."""
    function()
    return _Done()


def within(start: Start, seconds: float, what: str, ask: Callable[[], T]) -> T:
    """Return what ``ask`` returns, or raise what it raises, but wait only ``seconds`` for it.

    Raises :class:`Unreachable` with ``what`` there was no answer to.
    """
    found: list[T] = []
    failed: list[Exception] = []

    def go() -> None:
        try:
            found.append(ask())
        except Exception as error:
            failed.append(error)

    task = start(go)
    task.wait(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise Unreachable(
            f"{what}: no answer within {seconds:.0f} s", remedy="Look at githubstatus.com."
        )
    return found[0]
