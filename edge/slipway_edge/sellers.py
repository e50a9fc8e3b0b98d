"""Which sellers the fleet has seen lately, and how many of them a share means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from .cohort import NOBODY_THRESHOLD, bucket, normalise, threshold

KEPT: Final = 3 * 24 * 3600.0
"""Seconds for which HAProxy remembers a seller."""


@runtime_checkable
class Source(Protocol):
    """What knows the sellers of one instance: HAProxy's runtime."""

    async def sellers(self) -> Sequence[str]:
        """Return their ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Sellers, as buckets of the flag: a bucket says less than an id, and is what a share means."""

    buckets: frozenset[int]
    seconds: float
    """For how long they have been counted."""

    def joined(self, other: Seen) -> Seen:
        """Return the sellers of both: each is counted once, whichever instances saw it."""
        return Seen(buckets=self.buckets | other.buckets, seconds=max(self.seconds, other.seconds))

    def cohort(self, share: float) -> int:
        """Return how many of them ``share`` percent lets in; nobody at 0."""
        most = threshold(share) if share > 0 else NOBODY_THRESHOLD
        return sum(1 for bucket in self.buckets if bucket <= most)


async def seen(source: object, flag_key: str, uptime: float) -> Seen:
    """Return the sellers that ``source`` knows, which has counted for ``uptime`` seconds."""
    ids = await source.sellers() if isinstance(source, Source) else ()
    # A hash each for up to 200,000 ids: on a thread, so that no lease lapses late meanwhile.
    buckets = await asyncio.to_thread(_buckets, flag_key, ids)
    return Seen(buckets=buckets, seconds=min(KEPT, uptime))


def _buckets(flag_key: str, ids: Sequence[str]) -> frozenset[int]:
    known = (normalise(seller) for seller in ids)
    return frozenset(bucket(flag_key, seller) for seller in known if seller is not None)
