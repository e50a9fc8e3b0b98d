"""How what two edges know becomes one: the same whoever tells whom, in what order, how often.

Every rule here takes the greater of two by a total order. So merging is commutative, associative
and idempotent, and edges that have heard each other agree. No I/O, and no two clocks compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from .state import Latch, Lease, Promotion

Latches = Mapping[str, Latch]
"""Kills by their id."""

_MOST_OVER: Final = 64
"""Kills that are over and still remembered, for edges that were away meanwhile."""


def merge_lease(mine: Lease | None, told: Lease | None) -> Lease | None:
    """Return the later renewal; of the same one, what lapses earlier.

    So a renewal that arrives a second time extends nothing, and a lease given back stays so.
    """
    if mine is None or told is None:
        return mine or told
    if told.renewal == mine.renewal:
        # A message takes time, so what is told lapses later than where it was granted.
        return min(mine, told, key=lambda lease: (lease.expires, lease.release))
    return max(mine, told, key=lambda lease: lease.renewal)


def merge_promotion(mine: Promotion | None, told: Promotion | None) -> Promotion | None:
    """Return the later order."""
    if mine is None or told is None:
        return mine or told
    return max(mine, told, key=lambda order: (order.number, order.release, order.by, order.reason))


def merge_latches(mine: Latches, told: Latches) -> Latches:
    """Return the kills of both.

    Of one kill that both know, the one seen against the later flag stands: over beats alive only if
    that was seen against the same flag or a later one. An edge that did not see the release which
    ended a kill cannot bring the kill back, and nobody ends one by not knowing it.
    """
    merged = dict(mine)
    for key, latch in told.items():
        known = merged.get(key)
        merged[key] = latch if known is None else max(known, latch, key=_order)
    over = sorted((one for one in merged.values() if one.over), key=_order)
    for forgotten in over[:-_MOST_OVER]:
        del merged[forgotten.id]
    return merged


def alive(latches: Latches) -> list[Latch]:
    """Return the kills that hold, the newest first."""
    return sorted((one for one in latches.values() if not one.over), key=_order, reverse=True)


def add_latch(latches: Latches, latch: Latch) -> Latches:
    """Return the kills with one more. The same again, against the same flag, is no other one."""
    for known in alive(latches):
        if (known.release, known.stamp) == (latch.release, latch.stamp):
            return {**latches, known.id: replace(known, reason=known.reason or latch.reason)}
    return merge_latches(latches, {latch.id: latch})


def _order(latch: Latch) -> tuple[tuple[int, int], str, bool, str, str, str]:
    stamp = (-1, -1) if latch.stamp is None else latch.stamp.order
    return stamp, latch.release, latch.over, latch.reason, latch.before, latch.id
