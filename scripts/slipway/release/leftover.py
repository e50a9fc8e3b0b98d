"""What a release that does not run any more left in the record, and putting that right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.errors import OutsideError, Refused
from slipway.ports import Clock, Deploy, Edge, Flag, FlagStore, Holder, Phase, Record
from slipway.release.stop import DEADLINE, Stop

NOBODY_VOUCHES = "not-vouched"
"""In the place of a candidate: what serves came by no release that is known to have passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a release that does not run any more left in the record."""

    record: Record
    active: bool
    """Whether nobody has ended it: neither in PostHog nor at the edge."""


def how(phase: Phase) -> str:
    """Say how a release was left, as the end of a sentence."""
    return "was left frozen" if phase is Phase.FROZEN else f"died in {phase}"


def _says_something(flag: Flag) -> bool:
    payloads = flag.filters.get("payloads")
    return bool(isinstance(payloads, Mapping) and payloads.get("true"))


class Past:
    """The record, as somebody reads and mends it who is not the one who wrote it."""

    def __init__(
        self,
        *,
        flags: FlagStore,
        edge: Edge,
        clock: Clock,
        stop: Stop,
        key: str,
        release: str,
        holder: Holder,
    ) -> None:
        self._flags = flags
        self._edge = edge
        self._clock = clock
        self._stop = stop
        self._key = key
        self._release = release
        self._holder = holder

    def left(self, killed: str | None) -> Left | None:
        """Return what a dead release left; ``None``: nothing that is not stable.

        ``killed``: the release that the edge had latched before anything was done about it here.
        """
        flag = self._flags.read(self._key)
        record = flag.record if flag else None
        if flag is not None and record is None and flag.active and _says_something(flag):
            raise Refused(
                f"the release flag {flag.key} is on, and its payload is no record that this "
                "version of Slipway can read",
                remedy="Another version may be releasing: use that one. If nothing is under way, "
                "turn the flag off in PostHog.",
            )
        if flag is None or record is None or record.phase is Phase.STABLE:
            return None
        return Left(record=record, active=flag.active and killed != record.release)

    def that_says_stable(self, live: Deploy) -> Record | None:
        """Return the record where it says that ``live`` is what everybody is on.

        A kill by hand leaves no record, and a deploy past Slipway leaves one that is not true.
        """
        flag = self._flags.read(self._key)
        record = flag.record if flag else None
        return record if record and record.stable_build == live.identity else None

    def kill_at_edge(self, release: str, reason: str) -> None:
        """End a release that has lost its controller, at the edge alone."""
        self._edge.kill(release, reason)

    def end_record_of(self, release: str, reason: str) -> None:
        """Everybody off a dead release's canary, confirmed in the record too."""
        zero = self._stop.to_zero(reason, release=release)
        zero.wait(DEADLINE)
        if zero.record is not None:
            raise OutsideError(
                f"the record of release {release} could not be ended: {zero.record}",
                remedy="Run reconcile again when PostHog answers. Everybody is on the stable "
                "track as long as nobody holds its lease.",
            )

    def conclude(
        self,
        stable: Deploy,
        *,
        vouched: bool = True,
        previous: tuple[str, str] | None = None,
    ) -> None:
        """Write that ``stable`` is what everybody is on: share 0, and nothing is under way.

        Not ``vouched`` for, the record says what serves, and of no build that it has passed.
        ``previous``: build and deploy that were stable before.
        """
        build = stable.identity or ""
        record = Record(
            release=self._release,
            candidate=build if vouched else NOBODY_VOUCHES,
            stable_build=build,
            stable_deploy=stable.id,
            phase=Phase.STABLE,
            share=0,
            holder=self._holder,
            since=self._clock.now(),
            previous_build=previous[0] if previous else None,
            previous_deploy=previous[1] if previous else None,
        )
        flag = self._flags.read(self._key)
        if flag is not None:
            self._flags.write(flag, record)
