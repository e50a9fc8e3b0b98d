"""A case: what runs, which of its calls goes wrong and how, and what comes after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from slipway.ports import Holder
from slipway.release.outcome import Result
from tests.crash import runs
from tests.crash.runs import LEASE, Run
from tests.crash.wire import ON_ITS_WAY, Fault, Wire
from tests.unit.builds import CANARY, STABLE
from tests.unit.world import World

FIRST, AGAIN = Holder(run_id="77", attempt=1), Holder(run_id="77", attempt=2)
BUTTON, SCHEDULE = Holder(run_id="88", attempt=1), Holder(run_id="91", attempt=1)
PUSH, LATER = Holder(run_id="99", attempt=1), Holder(run_id="89", attempt=1)

START_LIMIT = 900.0
"""Seconds Render gives a build to become healthy."""
FORWARDS = ("good", "good-git", "bad", "load", "failing", "hanging", "sick")
PRESSED = ("killed", "killed-settling")
"""A person presses rollback while the release runs; the calls of the release are what is hit."""
BACK = ("rollback", "rollback-git", "rollback-canary")
"""The calls of the rollback are what is hit."""
BASES = (*FORWARDS, *PRESSED, *BACK)
POLICIES = ("wait", "override")
FOLLOW_UPS = ("nothing", "finalize", "reconcile", "rerun", "push", "rollback")
TIMINGS = ("now", "lapsed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Written ``base:call:mode:policy:follow-up:timing[:call:mode]``; the last two hit the
    follow-up, and reconcile comes after it."""

    base: str
    fault: Fault
    policy: str
    follow_up: str
    timing: str
    second: Fault | None = None

    def __str__(self) -> str:
        parts = [self.base, str(self.fault.at), self.fault.mode, self.policy]
        parts += [self.follow_up, self.timing]
        if self.second:
            parts += [str(self.second.at), self.second.mode]
        return ":".join(parts)

    @classmethod
    def read(cls, text: str) -> Case:
        base, at, mode, policy, follow_up, timing, *rest = text.split(":")
        second = Fault(int(rest[0]), rest[1]) if rest else None
        fault = Fault(int(at), mode)
        return cls(
            base=base,
            fault=fault,
            policy=policy,
            follow_up=follow_up,
            timing=timing,
            second=second,
        )


_BEHAVIOUR: dict[str, dict[str, object]] = {
    "bad": {"error_rate": 0.3},
    "load": {"error_rate_under_load": 0.2},
    "failing": {"status": "update_failed"},
    "hanging": {"becomes_live": False},
}


@cache
def _sick_after() -> float:
    """Seconds after v2 went live on the canary service at which a release settles."""
    world = world_for("good", "wait")
    times: list[float] = []
    wire = Wire(world)
    wire.at_call = lambda wire, call: (
        times.append(world.clock.t) if call == f"render.start {STABLE}" else None
    )
    runs.release(world, wire, "v2", FIRST)
    live = world.live(world.services[CANARY])
    assert live is not None
    return times[0] - (live.live_at or 0.0) + 5


def world_for(base: str, policy: str, make: type[World] = World) -> World:
    """Return the world before the run."""
    world = make(git=base.endswith("-git"))
    world.overlap, world.start_limit = policy, START_LIMIT
    behaviour = dict(_BEHAVIOUR.get(base, {}))
    if base == "sick":
        behaviour["sick_after"] = _sick_after()
    world.build("v2", **behaviour)
    world.build("v3")
    return world


def run_base(
    world: World,
    base: str,
    fault: Fault | None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Run]:
    """Run it with its fault; the run whose calls are hit is the first that is returned."""
    wire = Wire(world, fault)
    wire.meanwhile = meanwhile
    if base in FORWARDS:
        return [runs.release(world, wire, "v2", FIRST)]
    if base in PRESSED:
        pressed: list[Run] = []
        moment = _moment(f"render.deploy {STABLE}" if base.endswith("settling") else "edge.counts")

        def person(wire: Wire, call: str) -> None:
            if not pressed and world.effective_share() and moment(call):
                pressed.append(Run("", wire))
                pressed[0] = runs.press(world, Wire(world), BUTTON)

        wire.at_call = person
        return [runs.release(world, wire, "v2", FIRST), *pressed]
    if base == "rollback-canary":
        return _pressed_during(world, wire)
    before = runs.release(world, Wire(world), "v2", FIRST)
    world.clock.t += 1000
    return [runs.press(world, wire, BUTTON), before]


def _moment(call: str) -> _Third:
    return _Third(call)


class _Third:
    """The third call of a name."""

    def __init__(self, call: str) -> None:
        self._call, self._seen = call, 0

    def __call__(self, call: str) -> bool:
        self._seen += call == self._call
        return self._seen >= 3


def _pressed_during(world: World, wire: Wire) -> list[Run]:
    pressed: list[Run] = []
    moment = _moment("edge.counts")

    def person(other: Wire, call: str) -> None:
        if not pressed and world.effective_share() and moment(call):
            pressed.append(Run("", wire))
            pressed[0] = runs.press(world, wire, BUTTON)

    driver = Wire(world)
    driver.at_call = person
    release = runs.release(world, driver, "v2", FIRST)
    return [*pressed, release]


@cache
def calls_of(base: str, policy: str) -> tuple[str, ...]:
    """Return the calls of a run in which nothing goes wrong."""
    return tuple(run_base(world_for(base, policy), base, None)[0].wire.calls)


def follow_ups(base: str) -> tuple[str, ...]:
    """Return who may come after: a rollback has no job finalize."""
    return tuple(f for f in FOLLOW_UPS if base not in BACK or f != "finalize")


def every_case() -> Iterator[Case]:
    """Each once, in a stable order."""
    for base in BASES:
        for policy in POLICIES:
            for at, call in enumerate(calls_of(base, policy), start=1):
                modes = ["before", "after", "lost", "refused", "gone"]
                # A call that has left cannot be taken back: Render has no fencing.
                modes += ["late"] if call.startswith(ON_ITS_WAY) else ["asleep"]
                for mode in modes:
                    yield from _after(base, Fault(at, mode), policy)
    yield from _twice()


def _after(base: str, fault: Fault, policy: str) -> Iterator[Case]:
    died = fault.mode in ("before", "after", "late")
    for follow_up in follow_ups(base):
        timings = TIMINGS if died and follow_up != "nothing" else TIMINGS[:1]
        if fault.mode == "asleep":
            timings = TIMINGS[:1] if follow_up in ("finalize", "rollback") else TIMINGS[1:]
        for timing in timings:
            yield Case(base=base, fault=fault, policy=policy, follow_up=follow_up, timing=timing)


SAMPLED = (
    "flags.write deploying",
    f"render.start {CANARY}",
    "flags.write canary",
    f"render.scale {CANARY}",
    "flags.write baking",
    "flags.write settling",
    f"render.start {STABLE}",
    "flags.write stable",
    "edge.kill",
    "flags.kill",
    f"render.cancel {STABLE}",
)


def _twice() -> Iterator[Case]:
    """The runner died at some turning points, and so does whoever puts that in order."""
    for base in ("good", "bad", "sick", "killed-settling", "rollback"):
        calls = calls_of(base, "wait")
        points = [calls.index(name) + 1 for name in SAMPLED if name in calls]
        for at in points:
            for follow_up in ("finalize", "reconcile") if base not in BACK else ("reconcile",):
                fault = Fault(at, "after")
                timing = "now" if follow_up == "finalize" else "lapsed"
                first = Case(
                    base=base, fault=fault, policy="wait", follow_up=follow_up, timing=timing
                )
                for second in range(1, _length(first) + 1):
                    for mode in ("before", "after", "lost", "refused"):
                        yield Case(
                            base=base,
                            fault=fault,
                            policy="wait",
                            follow_up=follow_up,
                            timing=timing,
                            second=Fault(second, mode),
                        )


@cache
def _length(case: Case) -> int:
    """Return how many calls the follow-up of a case makes."""
    world = world_for(case.base, case.policy)
    run_base(world, case.base, case.fault)
    return len(come_after(world, case)[0].wire.calls)


def come_after(world: World, case: Case) -> list[Run]:
    """Play the follow-up; where its own runner dies, or it met a lease, somebody comes again."""
    if case.timing == "lapsed":
        world.clock.t += LEASE + 20
    if case.follow_up == "nothing":
        return []
    done = [_once(world, case.base, case.follow_up, Wire(world, case.second))]
    if case.second is not None:
        world.clock.t += LEASE + 20
        done.append(runs.put_in_order(world, Wire(world), SCHEDULE))
    elif not _had_its_way(done[0]):
        world.clock.t += LEASE + 20
        done.append(_once(world, case.base, case.follow_up, Wire(world), more=1))
    return done


def _had_its_way(run: Run) -> bool:
    """Whether neither the lease of the dead run, nor what it had on its way, came in between.

    Once is not for ever: where it was, the same is tried again after the lease.
    """
    release = run.what.startswith("canary-prod")
    leased = run.outcome is not None and "holds the edge" in run.outcome.reason
    return not leased and not (release and run.result in (Result.REFUSED, Result.ABORTED))


def _once(world: World, base: str, follow_up: str, wire: Wire, *, more: int = 0) -> Run:
    """Play a follow-up; ``more`` attempts of the same run than the first."""

    def attempt(holder: Holder) -> Holder:
        return replace(holder, attempt=holder.attempt + more)

    match follow_up:
        case "finalize":
            return runs.put_in_order(world, wire, attempt(FIRST), finalize=True)
        case "reconcile":
            return runs.put_in_order(world, wire, attempt(SCHEDULE))
        case "rerun" if base in BACK:
            return runs.press(world, wire, attempt(replace(BUTTON, attempt=2)))
        case "rerun":
            return runs.release(world, wire, "v2", attempt(AGAIN))
        case "push":
            return runs.release(world, wire, "v3", attempt(PUSH))
    return runs.press(world, wire, attempt(LATER))
