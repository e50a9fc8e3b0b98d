"""What the edge does, as one function of what it knows: flag, lease, kill latch and time. No I/O.

Times are seconds of this machine's monotonic clock: no other machine's clock is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from .cohort import NOBODY, Assignment
from .flag import Absent, Definition, Flag, Record, Refused, Stamp

SERVING_PHASES: Final = frozenset({"canary", "baking", "settling"})
ANY_RELEASE: Final = "*"
"""Name of the release in a latch set while the edge did not know any release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who drives a release: a workflow run and its attempt."""

    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True, order=True)
class Renewal:
    """Which renewal of which lease this is. A later one is greater, on every edge alike."""

    term: int = 0
    """Counted up whenever another holder takes the lease."""
    number: int = 0
    """Counted up by every renewal."""
    by: str = ""
    """The instance that took it: two that counted alike still have an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """For how long the edge may act on a release's record."""

    release: str
    holder: Holder
    expires: float
    """Monotonic seconds of this machine."""
    renewal: Renewal = Renewal()

    def alive(self, now: float) -> bool:
        """True until the lease lapses."""
        return now < self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A kill that stays until another release has begun."""

    release: str
    reason: str
    stamp: Stamp | None
    """The flag as last seen at the kill; ``None``: not seen yet."""
    id: str = ""
    """Random: the same kill told twice is one."""
    over: bool = False
    """Another release has begun since. Kept, so that nobody who missed that brings it back."""
    before: str = ""
    """The release that the flag was about, where that was another one: the killed one comes later,
    and what is still written about the one before does not end the kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A person's order to end the judging of a release and promote it. The controller reads it."""

    release: str
    by: str
    reason: str
    number: int = 0
    """Counted up by every order, so that the last one stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What HAProxy must do, and one sentence that says why."""

    share: float
    """Percent of all sellers, 0 to 100."""
    why: str
    assignment: Assignment = NOBODY


class LeaseHeld(Exception):
    """Another holder's lease is alive."""


class NotUnderWay(Exception):
    """Nobody holds the lease for the release that an order is about."""


class NotFollowed(Exception):
    """The flag is one that the edge cannot follow, so no lease is renewed on it."""


def grant(current: Lease | None, wanted: Lease, now: float) -> Lease:
    """Return the lease that holds after ``wanted`` was asked for. Raises :class:`LeaseHeld`.

    A later attempt of the same run takes over from its own earlier one, which has died.
    """
    if current is None:
        return replace(wanted, renewal=Renewal(1, 1, wanted.renewal.by))
    same, later = current.holder == wanted.holder, _supersedes(wanted.holder, current.holder)
    if current.alive(now) and not same and not later:
        run = f"run {current.holder.run_id}, attempt {current.holder.attempt},"
        raise LeaseHeld(f"{run} holds the lease for {current.release!r}")
    renewal = Renewal(
        current.renewal.term if same else current.renewal.term + 1,
        current.renewal.number + 1,
        wanted.renewal.by,
    )
    return replace(wanted, renewal=renewal)


def _supersedes(holder: Holder, other: Holder) -> bool:
    return holder.run_id == other.run_id and holder.attempt > other.attempt


def update_latch(latch: Latch, definition: Definition | None) -> Latch:
    """Return the latch after this definition was seen: as it was, completed, or over.

    Over only by a record of another release that was written after the kill. A kill made before
    any flag was seen cannot tell what is later, so the first record it sees completes it.
    """
    if latch.over or not isinstance(definition, Flag) or definition.record is None:
        return latch
    release = definition.record.release
    if latch.stamp is None:
        known = release if latch.release == ANY_RELEASE else latch.release
        before = "" if release == known else release
        return replace(latch, release=known, stamp=definition.stamp, before=before)
    if release not in (latch.release, latch.before) and definition.stamp.follows(latch.stamp):
        return replace(latch, over=True)
    return latch


def decide(
    *, definition: Definition | None, lease: Lease | None, latch: Latch | None, now: float
) -> Decision:
    """Return the share that is allowed now: nobody, named sellers included, unless all holds."""
    killed = _killed(latch)
    if killed is not None:
        return Decision(share=0.0, why=killed)
    serving = _serving(definition)
    if isinstance(serving, str):
        return Decision(share=0.0, why=serving)
    flag, record = serving
    refusal = _lease_says_no(lease, record.release, now)
    if refusal is not None:
        return Decision(share=0.0, why=refusal)
    share = min(flag.share, record.share)
    if share <= 0:
        return Decision(share=0.0, why=f"Nobody: {record.release} asks for 0 %.")
    return Decision(
        share=share,
        why=f"{share:g} % of sellers: {record.release} is in {record.phase}, and its lease lives.",
        assignment=flag.assignment(share),
    )


def _killed(latch: Latch | None) -> str | None:
    if latch is None:
        return None
    named = "whatever was running" if latch.release == ANY_RELEASE else latch.release
    reason = f" ({latch.reason})" if latch.reason else ""
    return f"Nobody: {named} was killed here{reason}, and no later release has begun."


def _serving(definition: Definition | None) -> tuple[Flag, Record] | str:
    """Return the flag and the record to follow, or why there is none."""
    match definition:
        case None:
            return "Nobody: the flag has not been read since the edge started."
        case Absent():
            return "Nobody: PostHog has no such flag."
        case Refused(reason=reason):
            return f"Nobody: the edge cannot follow this flag: {reason}."
        case Flag(active=True, record=Record() as record):
            if record.phase in SERVING_PHASES:
                return definition, record
            return f"Nobody: {record.release} is in phase {record.phase}."
        case Flag(active=active):
            return f"Nobody: the flag {'carries no release record' if active else 'is inactive'}."


def _lease_says_no(lease: Lease | None, release: str, now: float) -> str | None:
    if lease is None:
        return f"Nobody: no lease for {release}."
    if lease.release != release:
        return f"Nobody: the lease is for {lease.release}, the flag is about {release}."
    if not lease.alive(now):
        return f"Nobody: the lease of run {lease.holder.run_id} for {release} has lapsed."
    return None
