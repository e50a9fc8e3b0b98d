"""What must hold at the end of a case, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from slipway.ports import Phase
from slipway.release.outcome import Result
from tests.crash import cases, runs
from tests.crash.cases import BACK, Case
from tests.crash.runs import LEASE, Run
from tests.crash.wire import Wire
from tests.unit.builds import CANARY, STABLE, commit_of, digest
from tests.unit.world import World

HALF_AN_HOUR = 1800.0
_ENDS_WELL = {
    "rerun": {
        Result.PROMOTED,
        Result.UNCHANGED,
        Result.ROLLED_BACK,
        Result.PROMOTED_PREVIOUS,
    },
    "push": {Result.PROMOTED},
    "rollback": {Result.PROMOTED_PREVIOUS, Result.UNCHANGED},
    "finalize": {Result.PROMOTED, Result.ABORTED, Result.UNCHANGED},
    "reconcile": {Result.PROMOTED, Result.ABORTED, Result.UNCHANGED},
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What does not hold in one case."""

    case: Case
    what: str
    detail: str
    calls: tuple[str, ...]

    @property
    def cause(self) -> tuple[str, str, str]:
        """Failures of one cause look alike."""
        return self.what, self.case.follow_up, self.case.fault.mode


def play(case: Case, make: type[World] = World) -> tuple[list[Failure], str]:
    """Play a case; return what does not hold, and how the follow-up (or the run) ended."""
    world = cases.world_for(case.base, case.policy, make)
    after: list[Run] = []
    if case.fault.mode == "asleep":
        done = _beside(world, case, after)
    else:
        done = cases.run_base(world, case.base, case.fault)
        after += cases.come_after(world, case)
    running = _candidates_running(world) if after else []
    serves = world.running(STABLE)
    world.clock.t += HALF_AN_HOUR
    world.flow()
    promoted = any(_says_to_scale(run) for run in done)
    found = [
        *_always(world, case, done, after),
        *_recorded(world, case, after, running, serves, promoted=promoted),
        *(_ended_well(case, after[-1]) if after else ()),
    ]
    if case.follow_up == "rollback":
        after.append(runs.put_in_order(world, Wire(world), cases.SCHEDULE))
        # Where it died between promoting and scaling back, and a person goes back before anybody
        # has put that in order, the record is about the way back by then: it stays too large.
        promoted |= done[0].outcome is None and "flags.write stable" in done[0].acted
        then = replace(case, follow_up="reconcile")
        found += _recorded(world, then, after, [], serves, promoted=promoted)
    said = "; ".join(str(run) for run in (*done, *after))
    state = f"{_state(world)}. {said}"
    calls = tuple(done[0].wire.calls)
    failures = [Failure(case, what, state, calls) for what in found]
    last = (after or done)[-1 if after else 0]
    return failures, str(last.result or "died")


def _beside(world: World, case: Case, after: list[Run]) -> list[Run]:
    """Play what comes after while the runner hangs; it wakes, and reconcile comes once more."""

    def meanwhile() -> None:
        world.rewinds = False  # what others did meanwhile has been done
        after.extend(cases.come_after(world, case))

    done = cases.run_base(world, case.base, case.fault, meanwhile)
    if after and done[0].result is not Result.PROMOTED:
        world.clock.t += LEASE + 20
        after.append(runs.put_in_order(world, Wire(world), cases.SCHEDULE))
    return done


def _name(world: World, identity: str) -> str:
    named = commit_of if world.git else digest
    return next((n for n in world.builds if named(n) == identity), identity[:12] or "nothing")


def _state(world: World) -> str:
    record = world.flag.record if world.flag else None
    text = "no record" if record is None else ""
    if record is not None:
        stable, candidate = _name(world, record.stable_build), _name(world, record.candidate)
        text = f"record {record.phase}, stable {stable}, candidate {candidate}, {record.release}"
    return (
        f"share {world.effective_share():g} %, stable runs {world.running(STABLE)}, canary runs "
        f"{world.running(CANARY)} on {world.services[CANARY].instances}; {text}"
    )


def _says_to_scale(run: Run) -> bool:
    """Whether a release that promoted its build left the canary service as it is, and says so."""
    return run.outcome is not None and f"; scale {CANARY} back to 1 at" in run.outcome.reason


def _unwritable(case: Case) -> bool:
    """Whether PostHog answered this run nothing any more: its record says what was before."""
    called = cases.calls_of(case.base, case.policy)[case.fault.at - 1]
    return case.fault.mode == "gone" and called.startswith("flags.")


def _candidates_running(world: World) -> list[str]:
    return [
        f"{deploy.build.name} on {service_id}"
        for service_id in (STABLE, CANARY)
        for deploy in world.running_deploys(world.services[service_id])
        if deploy.build.name in ("v2", "v3")
    ]


def _passed(released: list[Run]) -> set[str]:
    """Return the builds that passed: those that reached settling, and were not judged bad then."""
    passed = {"v0", "v1"}
    for run in released:
        build = run.what.rpartition(" ")[2]
        if not run.what.startswith("canary-prod") or (run.outcome is None and _judged_bad(run)):
            continue
        if run.result is Result.ROLLED_BACK:
            passed.discard(build)
        elif "flags.write settling" in run.acted or run.result is Result.UNCHANGED:
            passed.add(build)
    return passed


def _judged_bad(run: Run) -> bool:
    """Whether a runner that died had said so to somebody: it had begun to take everybody off."""
    return bool({"edge.kill", "flags.kill"} & set(run.acted))


def _decided(run: Run) -> bool:
    """Whether a person's way back was in the record, or done."""
    return run.result is Result.PROMOTED_PREVIOUS or "flags.write rolling_back" in run.acted


def _always(world: World, case: Case, done: list[Run], after: list[Run]) -> Iterator[str]:
    if world.effective_share() != 0:
        yield "the share is not 0"
    serves = world.running(STABLE) or "nothing"
    released = [run for run in (*done, *after) if run.what.startswith("canary-prod")]
    passed = _passed(released)
    died_going_back = not after and any(run.outcome is None and _judged_bad(run) for run in done)
    reached = any("flags.write settling" in run.acted for run in released)
    pushed = any(r.what.endswith("v3") and r.result is Result.PROMOTED for r in after)
    if pushed and case.base not in BACK and serves != "v3":
        yield f"v3 was promoted, and {serves} serves"
    gone_back = case.base in ("rollback", "rollback-git") and _decided(done[0])
    if gone_back and after and serves == "v2" and case.fault.mode != "asleep":
        yield "a person went back from v2, and v2 serves"
    if serves not in passed and not (died_going_back and reached):
        yield f"{serves} serves, and has not passed"
    alive = _candidates_running(world)
    if alive:
        yield f"still running half an hour later: {', '.join(alive)}"


def _recorded(
    world: World,
    case: Case,
    after: list[Run],
    running: list[str],
    serves: str | None,
    *,
    promoted: bool = False,
) -> Iterator[str]:
    record = world.flag.record if world.flag else None
    live = world.running(STABLE)
    if not after:
        if record is None or _unwritable(case):
            return
        named = {_name(world, record.stable_build)}
        if record.phase in (Phase.SETTLING, Phase.ROLLING_BACK, Phase.FROZEN):
            named.add(_name(world, record.candidate))
        if live not in named:
            yield f"the record names {'/'.join(sorted(named))}, and {live} serves"
        return
    if live != serves:
        yield f"what serves changed from {serves} to {live} after the end"
    if running and case.follow_up != "rollback":
        yield f"still running at the end: {', '.join(running)}"
    if record is None:
        yield "there is no record"
    elif case.follow_up == "rollback" and record.phase is Phase.ROLLING_BACK:
        # The share is 0 and everybody is where the record says; what a dead release has at Render
        # is put in order by whoever comes next, which is played below.
        if _name(world, record.stable_build) != live:
            yield f"the record goes back to {_name(world, record.stable_build)}, and {live} serves"
        return
    elif record.phase is not Phase.STABLE:
        yield f"the record is in phase {record.phase}"
    elif _name(world, record.stable_build) != live:
        yield f"the record says {_name(world, record.stable_build)}, and {live} serves"
    if world.services[CANARY].instances != 1 and case.follow_up != "rollback" and not promoted:
        yield "the canary service is still larger than it was"


def _ended_well(case: Case, last: Run) -> Iterator[str]:
    again = case.second or last.what == "reconcile"
    kind = "reconcile" if again else case.follow_up
    if case.fault.mode == "gone" and "says that this build passed" in str(last):
        # What a release that was stopped has left on the stable service: a person vouches for it.
        return
    if last.result not in _ENDS_WELL[kind]:
        yield f"{kind} ended as {last.result or 'died'}"
