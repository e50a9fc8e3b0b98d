"""What takes its time is done beside the main path, which keeps the lease alive meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slipway.background import Task
from slipway.errors import SlipwayError
from slipway.release.deploys import Ports, Pulse
from slipway.release.stop import HURRIED

T = TypeVar("T")


def beside(
    ports: Ports, act: Callable[[], T], pulse: Pulse, *, left: Callable[[Task], None] | None = None
) -> T:
    """Return what ``act`` does, and raise what it raises. ``pulse`` may end the wait.

    Whoever is cancelled meanwhile waits some seconds more, as what was begun has to be known of;
    ``left`` is told what became of it.
    """
    done: list[T] = []
    failed: list[Exception] = []

    def go() -> None:
        try:
            done.append(act())
        except Exception as error:  # raised where it was asked for
            failed.append(error)

    task = ports.start(go)
    try:
        while not task.done():
            ports.clock.sleep(min(1.0, ports.poll))
            pulse()
    except SlipwayError:
        if left is not None:
            task.wait(HURRIED)
            left(task)
        raise
    for error in failed:
        raise error
    return done[0]
