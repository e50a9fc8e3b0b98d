"""PostHog's bucketing, in integers: which sellers a percentage means.

PostHog lets a seller in if ``int(sha1(f"{flag}.{seller}").hexdigest()[:15], 16) / 2**60`` is at
most ``percent / 100`` (posthog-python 7.91.1, ``feature_flags.py``: ``_hash``).
HAProxy has no floating point, so the comparison becomes ``bucket <= threshold(percent)``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

BITS: Final = 60
TOP: Final = 2**BITS - 1
"""The largest bucket there is; as a threshold: everybody."""
NOBODY_THRESHOLD: Final = -1

EVERYBODY_ELSE: Final = "*"
"""The map key for sellers who are not named. It is outside the alphabet of seller ids."""

BINS: Final = 20
BIN_PERCENT: Final = 100 // BINS
"""Percent of the buckets that one bin holds."""

_SELLER: Final = re.compile(r"[a-z0-9_.@:-]{1,128}")
"""The same alphabet as ``has_id`` in haproxy.cfg, after lower-casing."""


def normalise(seller: str) -> str | None:
    """Return the id in lower case, or ``None`` for one that the edge does not recognise."""
    lowered = seller.lower()
    return lowered if _SELLER.fullmatch(lowered) else None


def bucket(flag_key: str, seller: str) -> int:
    """Return the bucket, 0 to ``TOP``, of a normalised seller id."""
    # Not a secret being hashed: PostHog's choice of function, which has to be matched.
    digest = hashlib.sha1(f"{flag_key}.{seller}".encode(), usedforsecurity=False)
    return int(digest.hexdigest()[: BITS // 4], 16)


def threshold(percent: float) -> int:
    """Return the largest bucket that PostHog lets in at ``percent`` (0 to 100).

    Found by bisection over PostHog's own comparison of doubles, so that rounding agrees too.
    At 0 that is bucket 0, as in PostHog; for "nobody" use ``NOBODY_THRESHOLD``.
    """
    if percent >= 100:
        return TOP
    low, high = NOBODY_THRESHOLD, TOP
    while low < high:
        middle = (low + high + 1) // 2
        if middle / float(TOP) <= percent / 100:
            low = middle
        else:
            high = middle - 1
    return low


def bin_name(number: int) -> str:
    """Return the name of a bin (0 to ``BINS - 1``), which is its row in HAProxy's table."""
    return f"b{number:02d}"


def bins_map() -> str:
    """Return HAProxy's map from buckets to bins, ``<first>:<last> <bin>``.

    The first ``n`` bins hold exactly the buckets that a share of ``n * BIN_PERCENT`` lets in. Not
    a division: PostHog's doubles put each border some dozen buckets beside where that would.
    """
    last = [threshold(BIN_PERCENT * (number + 1)) for number in range(BINS)]
    first = [0, *(limit + 1 for limit in last)]
    return "".join(f"{first[n]}:{last[n]} {bin_name(n)}\n" for n in range(BINS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who is on the canary track: exactly what HAProxy's map holds."""

    others: int
    """The threshold of every seller who is not named."""
    named: Mapping[str, int] = field(default_factory=dict)
    """Seller id (normalised) to the threshold of that seller."""

    def entries(self) -> dict[str, int]:
        """Return the map's entries."""
        return {EVERYBODY_ELSE: self.others, **self.named}

    def includes(self, flag_key: str, seller: str) -> bool:
        """Tell whether HAProxy would send this normalised seller to the canary."""
        return bucket(flag_key, seller) <= self.named.get(seller, self.others)


NOBODY: Final = Assignment(others=NOBODY_THRESHOLD)
