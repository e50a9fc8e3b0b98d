"""Failures in a row, and checks that could not be made: counted apart."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """How often in a row a check failed, and how often in a row it could not be made.

    A bad answer is the build's; no answer may be the network's between it and the one who asks. A
    good answer ends both, and either ends the other: three of one kind in a row are needed.
    """

    failed: int = 0
    unreachable: int = 0

    def good(self) -> Streak:
        """A good answer."""
        return Streak()

    def bad(self) -> Streak:
        """A bad answer."""
        return replace(self, failed=self.failed + 1, unreachable=0)

    def silent(self) -> Streak:
        """No answer."""
        return replace(self, unreachable=self.unreachable + 1, failed=0)

    def reached(self, limit: int) -> bool:
        """Return whether there were ``limit`` of one kind in a row."""
        return max(self.failed, self.unreachable) >= limit
