"""Who is on the canary track: record, lease and edge, moved together.

The record (PostHog's flag) says what is true, the lease says how long the edge may act on it,
and the edge says what it does. A share counts as set only when the edge has said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from slipway.background import Start, in_thread
from slipway.errors import Aborted, FlagConflict, LeaseTaken, OutsideError, Refused, SlipwayError
from slipway.ports import (
    Clock,
    Deploy,
    Edge,
    EdgeState,
    Flag,
    FlagStore,
    Holder,
    Phase,
    Promotion,
    Record,
)
from slipway.release.journal import Journal
from slipway.release.stop import DEADLINE, HURRIED, Stop, Zero

RENEW_EVERY = 30.0
"""Seconds between renewals of the lease, unless a sixth of it is less."""
_RENEWED = 2.0
"""Seconds by which a lease must end later than it did to have been renewed meanwhile."""
_LOOK_EVERY = 5.0
"""Seconds between two looks at a lease that may be a dead run's."""
EDGE_DEADLINE = 60.0
"""Seconds the edge gets to apply a share: the flag's cache at PostHog may lag behind its API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a release that does not run any more left in the record."""

    record: Record
    active: bool
    """Whether nobody has ended it: neither in PostHog nor at the edge."""


class Traffic:
    """The canary track of one service, driven for one release."""

    def __init__(
        self,
        *,
        flags: FlagStore,
        edge: Edge,
        clock: Clock,
        journal: Journal,
        key: str,
        lease: float,
        release: str,
        holder: Holder,
        candidate: str,
        start: Start = in_thread,
    ) -> None:
        self._stop = Stop(
            edge=edge, flags=flags, key=key, clock=clock, journal=journal, start=start
        )
        self.start = start
        """Starts something beside the release."""
        self._flags = flags
        self._edge = edge
        self._clock = clock
        self._journal = journal
        self._key = key
        self._lease = lease
        self._release = release
        self._holder = holder
        self._candidate = candidate
        self._flag: Flag | None = None
        self._stable: tuple[str, str] = ("", "")
        self._canary_instances: int | None = None
        self._share = 0.0
        self._renewed: float | None = None
        self.lowered: str | None = None
        """Who lowered the share by hand, once somebody has: it is not raised again unasked."""
        self.promotion: Promotion | None = None
        """A person's order to end the judging, once the edge has told of one."""

    @property
    def edge(self) -> Edge:
        """The edge, for its counters."""
        return self._edge

    def look(self) -> EdgeState:
        """Return what the edge does. Raises :class:`Refused` where it follows another flag."""
        state = self._edge.state()
        if state.flag is not None and state.flag != self._key:
            raise Refused(
                f"the edge follows the flag {state.flag!r}, and slipway.yml names {self._key!r}",
                remedy="Set `edge.flag`, or RELEASE_FLAG where the edge is started, to the same.",
            )
        return state

    def await_free(self) -> None:
        """Wait until nobody else holds the edge: a run that died holds it until its lease lapses.

        Raises :class:`Refused` as soon as the lease is renewed: its release is alive. An earlier
        attempt of this very run is dead, and the edge gives its lease to the later one.
        """
        lapses: float | None = None
        shown = False
        while (state := self.look()).lease_remaining > 0 and self._is_anothers(state):
            now = self._clock.monotonic()
            lapses = lapses or now + state.lease_remaining
            if now + state.lease_remaining > lapses + _RENEWED:
                raise Refused(
                    f"release {state.lease_release} is under way: it holds the edge for another "
                    f"{state.lease_remaining:.0f} s, and renews that",
                    remedy="Wait until it has ended, or end it with Promote Previous Build.",
                )
            if not shown:
                shown = True
                self._journal.note(
                    f"release {state.lease_release} holds the edge for another "
                    f"{state.lease_remaining:.0f} s: waiting to see whether it is alive"
                )
            self._clock.sleep(min(_LOOK_EVERY, state.lease_remaining))

    def _is_anothers(self, state: EdgeState) -> bool:
        holder = state.lease_holder
        if state.lease_release in (None, self._release) or holder is None:
            return False
        same_run = holder.run_id == self._holder.run_id
        return not (same_run and holder.attempt < self._holder.attempt)

    def left(self) -> Left | None:
        """Return what a dead release left; ``None``: nothing that is not stable."""
        flag = self._flags.read(self._key)
        record = flag.record if flag else None
        if flag is None or record is None or record.phase is Phase.STABLE:
            return None
        killed = self.look().killed == record.release
        return Left(record=record, active=flag.active and not killed)

    def says_stable(self, live: Deploy) -> bool:
        """Return whether the record says that ``live`` is what everybody is on.

        A kill by hand leaves no record, and a deploy past Slipway leaves one that is not true.
        """
        flag = self._flags.read(self._key)
        record = flag.record if flag else None
        return record is not None and record.stable_build == live.identity

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease, and give it back. Whoever else comes is refused meanwhile."""
        self.keep_alive(force=True)
        try:
            yield
        finally:
            self._give_back()
            self._renewed = None

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

    def conclude(self, stable: Deploy) -> None:
        """Write that ``stable`` is what everybody is on: share 0, and nothing is under way."""
        build = stable.identity or ""
        record = Record(
            release=self._release,
            candidate=build,
            stable_build=build,
            stable_deploy=stable.id,
            phase=Phase.STABLE,
            share=0,
            holder=self._holder,
            since=self._clock.now(),
        )
        flag = self._flags.read(self._key)
        if flag is not None:
            self._flags.write(flag, record)

    def begin(self, stable: Deploy, *, canary_instances: int | None = None) -> None:
        """Take the lease and write the record: deploying, share 0.

        Where either fails nobody has been moved, and another release may be at work: the lease
        is given back and nothing else is touched.
        """
        self._stable = (stable.identity or "", stable.id)
        self._canary_instances = canary_instances
        try:
            self.keep_alive(force=True)
            flag = self._flags.read(self._key) or self._flags.create(self._key)
            self._flag = self._flags.write(flag, self._record(Phase.DEPLOYING, 0), activate=True)
        except LeaseTaken:
            raise
        except Exception:
            self._give_back()
            raise
        self._journal.phase(Phase.DEPLOYING, "the candidate is being deployed, for nobody yet", 0)

    def _record(self, phase: Phase, share: float) -> Record:
        build, deploy_id = self._stable
        return Record(
            release=self._release,
            candidate=self._candidate,
            stable_build=build,
            stable_deploy=deploy_id,
            phase=phase,
            share=share,
            holder=self._holder,
            since=self._clock.now(),
            canary_instances=None if phase is Phase.STABLE else self._canary_instances,
        )

    def keep_alive(self, *, force: bool = False) -> None:
        """Renew the lease when it is due. Raises :class:`Aborted` when it is lost.

        Nothing outside may be changed later than half a lease after the last renewal was *sent*:
        past that, the edge may be about to act on its own.
        """
        now = self._clock.monotonic()
        if self._renewed is not None and now - self._renewed > self._lease / 2:
            raise Aborted(
                f"{now - self._renewed:.0f} s went by since the lease of {self._lease:.0f} s was "
                "last renewed: something outside kept this job waiting",
                remedy="The edge may have put everybody back already. See the log for what was "
                "slow, then release again.",
            )
        due = min(RENEW_EVERY, self._lease / 6)
        if not force and self._renewed is not None and now - self._renewed < due:
            return
        try:
            state = self._edge.renew(self._release, self._holder, self._lease)
        except Refused as error:
            raise LeaseTaken(error.found, remedy=error.remedy) from error
        except OutsideError as error:
            if self._renewed is None:
                raise
            self._journal.trouble(f"renewing the lease: {error.found}")
        else:
            self._renewed = now
            if state.killed == self._release:
                raise Aborted(
                    f"this release was stopped at the edge: {state.why}",
                    remedy="Somebody or something stopped this release at the edge. "
                    "Find out why, then release again.",
                )

    def set(self, phase: Phase, share: float, text: str) -> None:
        """Write phase and share, and wait until the edge does it. ``share`` in percent."""
        assert self._flag is not None, "begin() comes first"  # noqa: S101 - a bug, not an input
        self.keep_alive(force=True)
        try:
            self._flag = self._flags.write(self._flag, self._record(phase, share))
        except FlagConflict as error:
            raise Aborted(error.found, remedy=error.remedy) from error
        self._share, self.lowered = share, None
        until = self._clock.monotonic() + EDGE_DEADLINE
        while True:
            why = self._ask_edge(self._flag.version, share)
            if why is None:
                break
            if self._clock.monotonic() >= until:
                raise OutsideError(
                    f"the edge did not go to {share:g} % within {EDGE_DEADLINE:.0f} s: {why}",
                    remedy="See `why` in the edge's /.slipway/state, and its log.",
                )
            self._clock.sleep(0.5)
            self.keep_alive()
        self._journal.phase(phase, text, share)

    def _ask_edge(self, version: int, share: float) -> str | None:
        """Have the edge read the flag; return why it is not at ``share`` yet."""
        try:
            state = self._edge.refresh(version, timeout=10.0)
        except OutsideError as error:
            return error.found
        if state.missing and share == 0:
            return f"not confirmed by {', '.join(state.missing)}"
        return None if state.share == share else f"it is at {state.share:g} %: {state.why}"

    def check(self) -> None:
        """See that the edge still does what was set. Raises :class:`Aborted` when it does not.

        An edge that does not answer is not a reason by itself: the lease decides.
        """
        self.keep_alive()
        try:
            state = self._edge.state()
        except OutsideError as error:
            self._journal.trouble(f"reading the edge: {error.found}")
            return
        self.promotion = state.promotion
        if self._flag and state.killed is None and (state.flag_version or 0) > self._flag.version:
            self._see_edit(self._flag)
        if state.share != self._share and state.killed is None and state.lease_remaining == 0:
            # An edge that restarted knows no lease: everybody is on stable until we renew it.
            self._journal.trouble(f"the edge forgot the lease ({state.why}): renewing it")
            self.keep_alive(force=True)
            return
        if state.share != self._share:
            raise Aborted(
                f"the edge is at {state.share:g} % and not at {self._share:g} %: {state.why}",
                remedy="Somebody or something stopped this release at the edge. "
                "Find out why, then release again.",
            )

    def _see_edit(self, ours: Flag) -> None:
        """Somebody changed the flag: a share that was lowered holds, all else ends the release.

        The edge never goes above the payload's share, so a raise has moved nobody.
        """
        try:
            flag = self._flags.read(self._key)
            editor = (flag and self._flags.editor(flag)) or "somebody"
        except OutsideError as error:
            self._journal.trouble(f"the flag was changed in PostHog, and {error.found}")
            return
        if flag is None or not flag.active or flag.record != ours.record:
            raise _edited(editor, "it does not say what this release wrote")
        if flag.share > ours.share:
            raise _edited(editor, f"its share is {flag.share:g} % and was {ours.share:g} %")
        self._flag = flag
        if flag.share < self._share:
            self._share = flag.share
            self.lowered = f"{editor} lowered the share to {flag.share:g} % in PostHog"
            self._journal.trouble(f"{self.lowered}: it stays there, and is judged on")

    def finish(self, deploy_id: str, text: str) -> None:
        """The candidate is stable now: share 0, record ``stable``, lease given back."""
        self._stable = (self._candidate, deploy_id)
        self.set(Phase.STABLE, 0, text)
        self._give_back()

    def to_zero(self, reason: str, *, settled: Deploy | None = None) -> Zero:
        """Put everybody on the stable track, unless another release has taken over since.

        ``settled``: the candidate is on the stable service, and is not gone back from.
        """
        self._share = 0.0
        leave = None
        if settled is not None:
            self._stable = (self._candidate, settled.id)
            leave = self._record(Phase.STABLE, 0)
        return self._stop.to_zero(reason, release=self._release, leave=leave)

    def close(
        self, zero: Zero, stable: Deploy | None, *, phase: Phase = Phase.STABLE, hurry: bool = False
    ) -> None:
        """After a way back: wait for what is unconfirmed, and write what is stable now.

        ``stable`` None: that is not known, and the record goes on saying what is gone back to.
        """
        zero.wait(HURRIED if hurry else DEADLINE)
        if zero.trouble:
            self._journal.trouble(zero.trouble)
        if stable is not None:
            self._stable = (stable.identity or "", stable.id)
            self._stop.close(zero, self._record(phase, 0))
        self._give_back()

    def _give_back(self) -> None:
        try:
            self._edge.give_back(self._release, self._holder)
        except SlipwayError as error:
            self._journal.trouble(f"giving the lease back: {error.found} (it lapses by itself)")


def _edited(editor: str, how: str) -> Aborted:
    return Aborted(
        f"the release flag was changed in PostHog by {editor}: {how}",
        remedy="During a release only Slipway writes it. To stop a release use the workflow, or "
        "turn the flag off. Release again when it is settled who decides.",
    )
