"""Who is on the canary track: record, lease and edge, moved together.

The record (PostHog's flag) says what is true, the lease says how long the edge may act on it,
and the edge says what it does. A share counts as set only when the edge has said so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from slipway.errors import Aborted, OutsideError, Refused, SlipwayError
from slipway.ports import (
    Clock,
    Deploy,
    Edge,
    Flag,
    FlagStore,
    Holder,
    Phase,
    Record,
)
from slipway.release.journal import Journal

RENEW_EVERY = 30.0
"""Seconds between renewals of the lease, unless a sixth of it is less."""
EDGE_DEADLINE = 60.0
"""Seconds the edge gets to apply a share: the flag's cache at PostHog may lag behind its API."""
ZERO_DEADLINE = 30.0
"""Seconds to go on trying to confirm share 0 at the edge and in the record."""

Together = Callable[[Sequence[Callable[[], None]]], None]
"""Runs functions side by side and returns when all have returned. They do not raise."""


def in_threads(functions: Sequence[Callable[[], None]]) -> None:
    """Run ``functions`` each in a thread of its own."""
    with ThreadPoolExecutor(len(functions)) as pool:
        for future in [pool.submit(function) for function in functions]:
            future.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class Zero:
    """What is known after going to share 0."""

    edge: str | None
    """``None``: confirmed at the edge. Else why not."""
    record: str | None
    """``None``: confirmed in the record. Else why not."""
    seconds: float | None
    """From the call to the edge's confirmation."""

    @property
    def safe(self) -> bool:
        """Either is enough to protect users: the edge obeys the record, and kills by itself."""
        return self.edge is None or self.record is None

    @property
    def trouble(self) -> str:
        """Say what is not confirmed; empty when both are."""
        parts = {"the edge": self.edge, "PostHog": self.record}
        return "; ".join(f"not confirmed at {name}: {why}" for name, why in parts.items() if why)


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
        together: Together = in_threads,
    ) -> None:
        self._flags = flags
        self._edge = edge
        self._clock = clock
        self._journal = journal
        self._key = key
        self._lease = lease
        self._release = release
        self._holder = holder
        self._candidate = candidate
        self._together = together
        self._flag: Flag | None = None
        self._stable: tuple[str, str] = ("", "")
        self._share = 0.0
        self._renewed: float | None = None

    @property
    def edge(self) -> Edge:
        """The edge, for its counters."""
        return self._edge

    def look(self) -> None:
        """See that edge and record answer, and that nobody else is releasing. Changes nothing."""
        state = self._edge.state()
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
        self.keep_alive(force=True)
        try:
            flag = self._flags.read(self._key) or self._flags.create(self._key)
            self._flag = self._flags.write(flag, self._record(Phase.DEPLOYING, 0), activate=True)
        except OutsideError:
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
        due = min(RENEW_EVERY, self._lease / 6)
        if not force and self._renewed is not None and now - self._renewed < due:
            return
        try:
            self._edge.renew(self._release, self._holder, self._lease)
        except Refused as error:
            raise Aborted(error.found, remedy=error.remedy) from error
        except OutsideError as error:
            if self._renewed is None:
                raise
            if self._clock.monotonic() - self._renewed > self._lease / 2:
                raise Aborted(
                    f"the lease could not be renewed for {self._lease / 2:.0f} s: {error.found}",
                    remedy="The edge puts everybody back on the stable build by itself. "
                    "Look at the edge, then release again.",
                ) from error
            self._journal.trouble(f"renewing the lease: {error.found}")
        else:
            self._renewed = now

    def set(self, phase: Phase, share: float, text: str) -> None:
        """Write phase and share, and wait until the edge does it. ``share`` in percent."""
        assert self._flag is not None, "begin() comes first"  # noqa: S101 - a bug, not an input
        self.keep_alive(force=True)
        self._flag = self._flags.write(self._flag, self._record(phase, share))
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
        if state.share != self._share and state.killed is None and state.lease_remaining == 0:
            # An edge that restarted knows no lease: everybody is on stable until we renew it.
            self._journal.trouble(f"the edge forgot the lease ({state.why}): renewing it")
            self.keep_alive(force=True)
            state = self._edge.state()
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

    def to_zero(self, reason: str, *, whoever: bool = False) -> Zero:
        """Put everybody on the stable track, at the edge and in the record at the same time.

        ``whoever`` ends any release that is under way, not only ours. Never raises and never asks
        for permission. Goes on trying what is not confirmed for :data:`ZERO_DEADLINE` seconds.
        """
        began = self._clock.monotonic()
        edge: list[str | None] = ["not tried"]
        record: list[str | None] = ["not tried"]
        seconds: list[float] = []

        def kill_edge() -> None:
            def act() -> None:
                state = self._edge.kill(None if whoever else self._release, reason)
                others = not whoever and state.release not in (None, self._release)
                if state.share != 0 and not others:
                    raise OutsideError(f"it is at {state.share:g} %", remedy=state.why)
                seconds.append(self._clock.monotonic() - began)

            edge[0] = self._persist(act)

        def kill_record() -> None:
            def act() -> None:
                flag = self._flags.read(self._key)
                if flag is not None and (whoever or self._is_ours(flag)):
                    self._flags.kill(flag)

            record[0] = self._persist(act)

        with self._clock.shielded():
            self._together([kill_edge, kill_record])
        zero = Zero(edge=edge[0], record=record[0], seconds=seconds[0] if seconds else None)
        self._share = 0.0
        if zero.safe:
            self._journal.phase(Phase.ROLLING_BACK, "everybody is on the stable build", 0)
        if zero.trouble:
            self._journal.trouble(zero.trouble)
        return zero

    def _is_ours(self, flag: Flag) -> bool:
        """Return whether the record may be ours; a release that took over must not be ended."""
        record = flag.record
        return record is None or record.release == self._release or record.phase is Phase.STABLE

    def _persist(self, act: Callable[[], None]) -> str | None:
        """Repeat ``act`` until it works or time is up; return why it never did."""
        until = self._clock.monotonic() + ZERO_DEADLINE
        while True:
            try:
                act()
            except SlipwayError as error:
                if self._clock.monotonic() >= until:
                    return error.found
            else:
                return None
            self._clock.sleep(1.0)

    def settle_record(self, build: str, deploy_id: str) -> None:
        """After a way back: write that ``build`` is stable (the flag stays inactive)."""
        self._stable = (build, deploy_id)
        try:
            flag = self._flags.read(self._key)
            if flag is not None:
                self._flags.write(flag, self._record(Phase.STABLE, 0))
        except OutsideError as error:
            self._journal.trouble(f"writing the record: {error.found}")
        self._give_back()

    def _give_back(self) -> None:
        try:
            self._edge.give_back(self._release, self._holder)
        except OutsideError as error:
            self._journal.trouble(f"giving the lease back: {error.found} (it lapses by itself)")
