"""What takes its time is done beside the main path, which keeps the lease alive meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slipway.errors import SlipwayError
from slipway.release.deploys import Ports, Pulse

T = TypeVar("T")


def beside(
    ports: Ports,
    act: Callable[[], T],
    pulse: Pulse,
    *,
    grace: float = 0.0,
    over: Callable[[bool], None] = lambda _: None,
) -> T:
    """Return what ``act`` does, and raise what it raises. ``pulse`` may end the wait.

    Where it is ended, what was begun gets ``grace`` seconds to end too. ``over`` is told whether it
    did.
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
        task.wait(grace)
        raise
    finally:
        over(task.done())
    for error in failed:
        raise error
    return done[0]
