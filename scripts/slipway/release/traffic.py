"""Who is on the canary track: record, lease and edge, moved together.

The record (PostHog's flag) says what is true, the lease says how long the edge may act on it,
and the edge says what it does. A share counts as set only when the edge has said so.
"""

from __future__ import annotations

from slipway.background import Start, in_thread
from slipway.errors import Aborted, FlagConflict, LeaseTaken, OutsideError, Refused, SlipwayError
from slipway.ports import (
    Clock,
    Deploy,
    Edge,
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
EDGE_DEADLINE = 60.0
"""Seconds the edge gets to apply a share: the flag's cache at PostHog may lag behind its API."""


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
        self._share = 0.0
        self._renewed: float | None = None
        self.promotion: Promotion | None = None
        """A person's order to end the judging, once the edge has told of one."""

    @property
    def edge(self) -> Edge:
        """The edge, for its counters."""
        return self._edge

    def look(self) -> None:
        """See that edge and record answer, and that nobody else is releasing. Changes nothing."""
        state = self._edge.state()
        if state.flag is not None and state.flag != self._key:
            raise Refused(
                f"the edge follows the flag {state.flag!r}, and slipway.yml names {self._key!r}",
                remedy="Set `edge.flag`, or RELEASE_FLAG where the edge is started, to the same.",
            )
        flag = self._flags.read(self._key)
        record = flag.record if flag and flag.active else None
        held = state.lease_remaining > 0 and state.lease_release not in (None, self._release)
        if held:
            raise Refused(
                f"release {state.lease_release} is under way: it holds the edge for another "
                f"{state.lease_remaining:.0f} s",
                remedy="Wait until it has ended, or end it with Promote Previous Build.",
            )
        if record and record.phase is not Phase.STABLE and record.release != self._release:
            self._journal.note(
                f"release {record.release} was left in {record.phase} by a run that died; "
                "its lease has lapsed, so everybody is on the stable build: taking over"
            )

    def begin(self, stable: Deploy) -> None:
        """Take the lease and write the record: deploying, share 0.

        Where either fails nobody has been moved, and another release may be at work: the lease
        is given back and nothing else is touched.
        """
        self._stable = (stable.identity or "", stable.id)
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
        self._share = share
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

    def finish(self, deploy_id: str, text: str) -> None:
        """The candidate is stable now: share 0, record ``stable``, lease given back."""
        self._stable = (self._candidate, deploy_id)
        self.set(Phase.STABLE, 0, text)
        self._give_back()

    def to_zero(self, reason: str) -> Zero:
        """Put everybody on the stable track, unless another release has taken over since."""
        self._share = 0.0
        return self._stop.to_zero(reason, release=self._release)

    def close(self, zero: Zero, stable: Deploy, *, hurry: bool = False) -> None:
        """After a way back: wait for what is unconfirmed, and write what is stable now."""
        zero.wait(HURRIED if hurry else DEADLINE)
        if zero.trouble:
            self._journal.trouble(zero.trouble)
        self._stable = (stable.identity or "", stable.id)
        self._stop.close(zero, self._record(Phase.STABLE, 0))
        self._give_back()

    def _give_back(self) -> None:
        try:
            self._edge.give_back(self._release, self._holder)
        except SlipwayError as error:
            self._journal.trouble(f"giving the lease back: {error.found} (it lapses by itself)")
