"""Who is on the canary track: record, lease and edge, moved together.

The record (PostHog's flag) says what is true, the lease says how long the edge may act on it,
and the edge says what it does. A share counts as set only when the edge has said so.
"""

from __future__ import annotations

from slipway.background import Start, in_thread
from slipway.errors import Aborted, FlagConflict, LeaseTaken, OutsideError, Refused
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
from slipway.release.lease import Lease
from slipway.release.leftover import NOBODY_VOUCHES, Past
from slipway.release.stop import DEADLINE, HURRIED, Stop, Zero

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
        self.lease = Lease(edge, clock, journal, release=release, holder=holder, ttl=lease)
        self.past = Past(
            flags=flags,
            edge=edge,
            clock=clock,
            stop=self._stop,
            key=key,
            release=release,
            holder=holder,
        )
        self._release = release
        self._holder = holder
        self._candidate = candidate
        self._flag: Flag | None = None
        self._stable: tuple[str, str] = ("", "")
        self._canary_instances: int | None = None
        self._previous: tuple[str, str] | None = None
        self._share = 0.0
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
        """Wait until no other release holds the edge. Raises :class:`Refused`: one is alive."""
        self.lease.await_free(self.look)

    def begin(self, stable: Deploy, *, canary_instances: int | None = None) -> None:
        """Take the lease and write the record: deploying, share 0.

        Where either fails nobody has been moved, and another release may be at work: the lease
        is given back and nothing else is touched.
        """
        self._stable = (stable.identity or "", stable.id)
        self._canary_instances = canary_instances
        try:
            self.lease.keep_alive(force=True)
            flag = self._flags.read(self._key) or self._flags.create(self._key)
            self._flag = self._flags.write(flag, self._record(Phase.DEPLOYING, 0), activate=True)
        except LeaseTaken:
            raise
        except Exception:
            self.lease.give_back()
            raise
        self._journal.phase(Phase.DEPLOYING, "the candidate is being deployed, for nobody yet", 0)

    def _record(self, phase: Phase, share: float) -> Record:
        build, deploy_id = self._stable
        previous = self._previous if self._previous and self._previous[0] != build else None
        return Record(
            release=self._release,
            candidate=self._candidate,
            stable_build=build,
            stable_deploy=deploy_id,
            phase=phase,
            share=share,
            holder=self._holder,
            since=self._clock.now(),
            canary_instances=self._canary_instances,
            previous_build=previous[0] if previous else None,
            previous_deploy=previous[1] if previous else None,
        )

    def set(self, phase: Phase, share: float, text: str) -> None:
        """Write phase and share, and wait until the edge does it. ``share`` in percent."""
        assert self._flag is not None, "begin() comes first"  # noqa: S101 - a bug, not an input
        self.lease.keep_alive(force=True)
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
            self.lease.keep_alive()
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
        self.lease.keep_alive()
        try:
            state = self._edge.state()
        except OutsideError as error:
            self._journal.trouble(f"reading the edge: {error.found}")
            return
        self.promotion = state.promotion
        self.lease.see_not_killed(state)
        if self._flag and state.killed is None and (state.flag_version or 0) > self._flag.version:
            self._see_edit(self._flag)
        if state.share != self._share and state.killed is None and state.lease_remaining == 0:
            # An edge that restarted knows no lease: everybody is on stable until we renew it.
            self._journal.trouble(f"the edge forgot the lease ({state.why}): renewing it")
            self.lease.keep_alive(force=True)
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

    def finish(self, deploy_id: str, text: str, *, vouched: bool = True) -> None:
        """The candidate is stable now: share 0, record ``stable``, lease given back.

        Not ``vouched`` for, the record does not say that it has passed.
        """
        self._previous, self._stable = self._stable, (self._candidate, deploy_id)
        if not vouched:
            self._candidate = NOBODY_VOUCHES
        self.set(Phase.STABLE, 0, text)
        self.lease.give_back()

    def _settled(self, live: Deploy) -> None:
        if self._stable[0] != live.identity:
            self._previous = self._stable
        self._stable = (live.identity or "", live.id)

    def to_zero(self, reason: str, *, settled: Deploy | None = None) -> Zero:
        """Put everybody on the stable track, unless another release has taken over since.

        ``settled``: the candidate is on the stable service, and is not gone back from.
        """
        self._share = 0.0
        leave = None
        if settled is not None:
            self._settled(settled)
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
        self.lease.give_back()


def _edited(editor: str, how: str) -> Aborted:
    return Aborted(
        f"the release flag was changed in PostHog by {editor}: {how}",
        remedy="During a release only Slipway writes it. To stop a release use the workflow, or "
        "turn the flag off. Release again when it is settled who decides.",
    )
