"""Rules about several edges: who polls, what their counters and sellers come to. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from .haproxy import Counts
from .word import Poll, Word, aged

PRESENT: Final = 3.5
"""Seconds after which a peer that was not heard no longer counts for the choice of who polls."""
SILENT_INTERVALS: Final = 3
"""Intervals of polling without an answer of PostHog, after which the others poll too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A peer, as it was last heard."""

    address: str
    word: Word
    heard: float
    """Monotonic seconds."""

    def poll(self, now: float) -> Poll:
        """Return how its polls went, as of now."""
        return aged(self.word.poll, now - self.heard)


def chosen(instance: str, members: Iterable[Member], now: float) -> Member | None:
    """Return who polls PostHog for all; ``None``: this instance.

    The smallest id among those who answer: all who hear each other choose the same one.
    """
    present = [member for member in members if now - member.heard <= PRESENT]
    first = min(present, key=lambda member: member.word.instance, default=None)
    return first if first is not None and first.word.instance < instance else None


def must_poll(instance: str, members: Iterable[Member], now: float, *, interval: float) -> bool:
    """Tell whether this instance asks PostHog: it is the chosen one, or that one hears nothing."""
    poller = chosen(instance, members, now)
    if poller is None:
        return True
    answered = poller.poll(now).answered
    # What is known of its polls may itself be as old as a member that is present.
    return answered is None or answered > SILENT_INTERVALS * interval + PRESENT


def latest(own: Poll, members: Iterable[Member], now: float) -> Poll:
    """Return how the fleet's last poll went: of whoever asked PostHog last."""
    polls = [own, *(member.poll(now) for member in members)]
    asked = [poll for poll in polls if poll.tried is not None]
    return min(asked, key=lambda poll: poll.tried or 0.0, default=own)


Counters = Mapping[str, Any]
"""``{"epoch": …, "tracks": …}``, and whatever else an edge of another version counts: numbers in
objects and lists."""


def document(counts: Counts) -> dict[str, Any]:
    """Return counters as they are told: ``epoch`` and ``tracks``."""
    tracks = {"stable": asdict(counts.stable), "canary": asdict(counts.canary)}
    return {"epoch": counts.epoch, "tracks": tracks}


def add_counts(parts: Sequence[Counters]) -> dict[str, Any]:
    """Return the fleet's counters, and under ``instances`` whose they are.

    Sums of one epoch cannot be compared with those of another: who has stayed brings all of its
    past. Whoever wants to know what has grown takes the instances, each by its own epoch. The
    fleet's epoch names the lives of all HAProxies in it, so that a restart, an instance more or one
    less makes another epoch.
    """
    epochs = sorted(str(part.get("epoch")) for part in parts)
    rest = [{key: part[key] for key in part if key != "epoch"} for part in parts]
    total: dict[str, Any] = {}
    for one in rest:
        total = _add(total, one)
    instances = [{"epoch": str(one.get("epoch")), "tracks": one.get("tracks")} for one in parts]
    return {"epoch": "+".join(epochs), **total, "instances": instances}


def _add(left: Any, right: Any) -> Any:
    """Add numbers that stand at the same place. Raises ``ValueError`` where shapes differ."""
    match left, right:
        case (bool(), _) | (_, bool()):
            pass
        case int() | float(), int() | float():
            return left + right
        case Mapping(), Mapping():
            keys = [*left, *(key for key in right if key not in left)]
            return {
                key: _add(left[key], right[key])
                if key in left and key in right
                else left.get(key, right.get(key))
                for key in keys
            }
        case list() | tuple(), list() | tuple() if len(left) == len(right):
            return [_add(a, b) for a, b in zip(left, right, strict=True)]
    raise ValueError("counters of different shape")
