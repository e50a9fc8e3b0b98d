"""Deals the tests that wait out among the workers, so that none is left with them at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def dealt(items: Sequence[T], workers: int, module: Callable[[T], str | None]) -> list[T]:
    """Return ``items`` in such an order that each worker begins with a share of the long ones.

    pytest-xdist gives each worker a stretch of the list, as long as any other's, and takes from the
    end of a stretch what another may run in its place. ``module``: the module of a long one, which
    stays together; ``None`` for a short one.
    """
    modules: dict[str, list[T]] = {}
    short: list[T] = []
    for item in items:
        name = module(item)
        (short if name is None else modules.setdefault(name, [])).append(item)
    hands: list[list[T]] = [[] for _ in range(workers)]
    for one in sorted(modules.values(), key=len, reverse=True):
        min(hands, key=len).extend(one)
    order: list[T] = []
    for number, hand in enumerate(hands):
        left = len(items) - len(order)
        room = max(0, left // (workers - number) - len(hand))
        order += [*hand, *short[:room]]
        short = short[room:]
    return [*order, *short]
