"""Everybody to the stable track: at the edge and in the record, side by side.

Either is enough to protect users: the edge obeys the record, and kills by itself. So the way back
goes on as soon as one has confirmed, and the other is gone on trying beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from slipway.background import Start, Task, in_thread
from slipway.errors import NotEverywhere, NotFound, SlipwayError, Unauthorized
from slipway.ports import Clock, Edge, EdgeState, Flag, FlagStore, Phase, Record
from slipway.release.journal import Journal
from slipway.text import is_build

DEADLINE = 30.0
"""Seconds to go on trying to confirm share 0 at the edge and in the record."""
HURRIED = 2.0
"""Seconds for the slower of the two when the process is about to be killed."""
JUST_NOW = 60.0
"""Seconds within which two orders are taken for one: two people who saw the same thing."""
ORDERS = ("-rollback", "-abort")
"""How the ids of orders end that take a release back."""
_GONE_BACK_FROM = (Phase.ROLLING_BACK, Phase.FROZEN)
_PENDING = "no answer yet"
_LOOK_EVERY = 0.02


@dataclass(slots=True)
class Zero:
    """What is known after asking for share 0. Grows until :meth:`wait` returns."""

    edge: str | None = _PENDING
    """``None``: confirmed at the edge. Else why not."""
    record: str | None = _PENDING
    """``None``: confirmed in the record. Else why not."""
    asked: float = 0.0
    """When share 0 was asked for, on the monotonic clock."""
    seconds: float | None = None
    """From the call to the edge's confirmation."""
    found: Record | None = None
    """The record as it was before."""
    ordered: Record | None = None
    """The record as an earlier order left it, where no release was under way."""
    state: EdgeState | None = None
    """What the edge said after."""
    _tasks: list[Task] = field(default_factory=list)

    @property
    def safe(self) -> bool:
        """Whether nobody is on the canary track, as far as one of the two has confirmed."""
        return self.edge is None or self.record is None

    @property
    def trouble(self) -> str:
        """Say what is not confirmed; empty when both are."""
        parts = {"the edge": self.edge, "PostHog": self.record}
        return "; ".join(f"not confirmed at {name}: {why}" for name, why in parts.items() if why)

    @property
    def leased(self) -> bool:
        """Whether a release held the edge when it was asked."""
        return self.state is not None and self.state.lease_remaining > 0

    def was_for(self, now: datetime, longest: float) -> str | None:
        """Return the candidate of a release that was under way, where either of the two knew it.

        Without a lease (the edge restarted, or does not answer) a record counts as under way for
        ``longest`` seconds after its last change; older, its run died long ago.
        """
        if self.found is not None and self.found.phase is not Phase.STABLE:
            fresh = (now - self.found.since).total_seconds() <= longest
            return self.found.candidate if self.leased or fresh else None
        if self.leased and self.state and self.state.phase not in (None, Phase.STABLE):
            return self.state.candidate
        return None

    def just_ordered(self, now: datetime) -> Record | None:
        """Return what another way back wrote within :data:`JUST_NOW`: a person's, or a release's
        own."""
        record = self.ordered
        if record is None:
            return None
        own = is_build(record.candidate) and record.candidate != record.stable_build
        ordered = record.release.endswith(ORDERS)
        if record.phase is not Phase.ROLLING_BACK and not ordered and not own:
            return None
        return record if (now - record.since).total_seconds() <= JUST_NOW else None

    def wait(self, seconds: float) -> None:
        """Give each that is not confirmed ``seconds`` more. They run side by side."""
        for task in self._tasks:
            task.wait(seconds)


class Stop:
    """The emergency brake. Works with whatever of edge and PostHog there is a key for."""

    def __init__(
        self,
        *,
        edge: Edge | None,
        flags: FlagStore | None,
        key: str,
        clock: Clock,
        journal: Journal,
        start: Start = in_thread,
    ) -> None:
        self._edge = edge
        self._flags = flags
        self._key = key
        self._clock = clock
        self._journal = journal
        self._start = start

    def to_zero(self, reason: str, *, release: str | None, leave: Record | None = None) -> Zero:
        """Put everybody on the stable track. ``release`` None: whatever release is under way.

        ``leave`` is what the record says from then on; where nothing is given, that the release
        under way is being gone back from. Never raises and asks nobody's permission. Returns when
        one of the two has confirmed, or both have failed for :data:`DEADLINE` seconds.
        """
        began = self._clock.monotonic()
        zero = Zero(asked=began)

        def kill_edge() -> None:
            for why in self._persist(lambda: self._kill_edge(zero, reason, release, began)):
                zero.edge = why

        def kill_record() -> None:
            for why in self._persist(lambda: self._kill_record(zero, release, leave)):
                zero.record = why

        tasks = [self._start(kill_edge), self._start(kill_record)]
        zero._tasks.extend(tasks)
        with self._clock.shielded():
            while not zero.safe and not all(task.done() for task in tasks):
                self._clock.sleep(_LOOK_EVERY)
        if zero.safe:
            self._journal.phase(Phase.ROLLING_BACK, "everybody is on the stable build", 0)
        return zero

    def _kill_edge(self, zero: Zero, reason: str, release: str | None, began: float) -> None:
        if self._edge is None:
            raise NotFound("no edge-token was given", remedy="Pass it.")
        try:
            zero.state = self._edge.kill(release, reason)
        except NotEverywhere as error:
            # Not confirmed; which release was under way is known all the same.
            zero.state = error.state if isinstance(error.state, EdgeState) else zero.state
            raise
        zero.seconds = self._clock.monotonic() - began

    def _kill_record(self, zero: Zero, release: str | None, leave: Record | None) -> None:
        if self._flags is None:
            raise NotFound("no posthog-api-key was given", remedy="Pass it.")
        flag = self._flags.read(self._key)
        if flag is None:
            return
        if flag.record and not flag.active and zero.found is None:
            zero.ordered = zero.ordered or flag.record
        zero.found = zero.found or (flag.record if flag.active else None)
        if release is None or _may_be(release, flag):
            self._flags.kill(flag, leave or self._going_back(flag.record))

    def _going_back(self, record: Record | None) -> Record | None:
        """Return what the record says while its release is gone back from.

        Should this process die as well, whoever comes next reads there where to go.
        """
        if record is None or record.phase in (Phase.STABLE, Phase.FROZEN):
            return record
        return replace(record, phase=Phase.ROLLING_BACK, share=0.0, since=self._clock.now())

    def _persist(self, act: Callable[[], None]) -> Iterator[str | None]:
        """Repeat ``act`` until it works, cannot work, or time is up; yield why it has not yet."""
        until = self._clock.monotonic() + DEADLINE
        with self._clock.shielded():
            while True:
                try:
                    act()
                except (Unauthorized, NotFound) as error:
                    yield error.found
                    return
                except SlipwayError as error:
                    yield error.found
                    if self._clock.monotonic() >= until:
                        return
                except Exception as error:
                    yield f"internal error: {type(error).__name__}"
                    return
                else:
                    yield None
                    return
                self._clock.sleep(1.0)

    def intend(self, zero: Zero, record: Record) -> None:
        """Beside the main path: write where a person goes back to, should this process die.

        Where a release was under way, the kill has written it already.
        """
        if self._flags is None or (zero.found and zero.found.phase is not Phase.STABLE):
            return
        task = self._start(lambda: self.close(zero, record, ordered=True))
        zero._tasks.append(task)

    def close(self, zero: Zero, record: Record, *, ordered: bool = False) -> None:
        """After a way back: write what is stable now. The flag stays inactive.

        ``ordered`` by a person, it also says so in the record of whatever release was ended.
        """
        if self._flags is None or zero.record is not None:
            return
        try:
            flag = self._flags.read(self._key)
            if flag is None:
                return
            if _may_be(record.release, flag):
                self._flags.write(flag, record)
            elif ordered and flag.record and flag.record.phase in _GONE_BACK_FROM:
                self._flags.write(flag, _ended(flag.record, record))
        except SlipwayError as error:
            self._journal.trouble(f"writing the record: {error.found}")


def _ended(left: Record, record: Record) -> Record:
    """Return what the record says once a person has ended what ``left`` is about.

    Of a canary release there may be more to put in order: its own run does that, or reconcile.
    """
    if left.canary_instances is None:
        return record
    return replace(
        left,
        phase=Phase.ROLLING_BACK,
        stable_build=record.stable_build,
        stable_deploy=record.stable_deploy,
        since=record.since,
    )


def _may_be(release: str, flag: Flag) -> bool:
    """Return whether the record may be this release's; one that took over must not be ended."""
    record = flag.record
    return record is None or record.release == release or record.phase is Phase.STABLE
