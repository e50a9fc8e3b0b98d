"""Releases that go back while something outside is down, and how they and what follows must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slipway.errors import OutsideError, SlipwayError, Unreachable
from slipway.release import rollback
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY, OTHER, STABLE, digest
from tests.unit.dying import SHORT, lapse, put_in_order, record, release
from tests.unit.world import World, settings

SETTLING = 110.0
"""Seconds after it was live on the canary service at which a build is settling."""
CASES: dict[str, dict[str, Any]] = {
    "canary": {"error_rate": 0.3},
    "baking": {"error_rate_under_load": 0.3},
    "settling": {"sick_after": SETTLING},
}
"""Where the candidate turns bad, and how."""
SYSTEMS = ("render.", "edge.", "flags.", "github.")
DEADLINE = 600.0
SHORTER = {"strategy": {**SHORT["strategy"], "deploy-deadline": f"{DEADLINE:g}s"}}

Error = Callable[[str], SlipwayError]


def no_answer(call: str) -> SlipwayError:
    return Unreachable(f"{call} got no answer", remedy="Try again.")


def status_500(call: str) -> SlipwayError:
    return OutsideError(f"{call}: 500", remedy="Try again.")


@dataclass
class Outage:
    """Fails calls of the way back: number ``at`` (from 0) once, or its system from then on."""

    at: int = 0
    prefixes: tuple[str, ...] = ()
    forever: bool = True
    after: bool = False
    error: Error = no_answer
    calls: list[str] = field(default_factory=list)
    """What the way back has called."""
    began: float | None = None
    """When the way back began."""

    def arrange(self, world: World) -> None:
        def seen(call: str) -> bool:
            if self.began is None and call == "edge.kill":
                self.began = world.clock.t
            return self.began is not None

        def before(call: str) -> None:
            if not seen(call):
                return
            self.calls.append(call)
            if not self.after and self._hits(call):
                raise self.error(call)

        def after(call: str) -> None:
            if self.began is not None and self.after and self._hits(call):
                raise self.error(call)

        world.before, world.after = before, after

    def _hits(self, call: str) -> bool:
        number = len(self.calls) - 1
        if self.forever:
            return number >= self.at and call.startswith(self.prefixes)
        return number == self.at


def bad_release(case: str, outage: Outage, *, git: bool = False) -> tuple[World, Outcome]:
    """Release a build that turns bad, with an outage on its way back; tell the history."""
    world = World(git=git)
    artifact = world.build("v2", **CASES[case])
    world.in_progress.add("v2")
    outage.arrange(world)
    outcome = release(world, artifact, short=SHORTER)
    world.before = world.after = lambda call: None
    world.in_progress.discard("v2")
    if outcome.result is Result.ROLLED_BACK:
        world.blamed.add("v2")
    else:
        world.ended_as["v2"] = outcome.result
    return world, outcome


def way_back_of(case: str) -> tuple[str, ...]:
    """Return the calls of a way back in which nothing goes wrong."""
    outage = Outage()
    _, outcome = bad_release(case, outage)
    assert outcome.result is Result.ROLLED_BACK
    return tuple(outage.calls)


def assert_says_what_is(world: World, outcome: Outcome, outage: Outage) -> None:
    """Red, no share while one of edge and PostHog works, and no build that does not serve."""
    blind = {"edge.", "flags."} <= set(outage.prefixes) and outage.forever
    assert outcome.exit_code != 0
    assert blind or world.effective_share() == 0
    if outcome.build:
        assert outcome.build == digest(world.running(STABLE) or "")
    if outcome.result is Result.FROZEN and not outcome.build:
        assert "press Rollback on deploy dep-2 " in (outcome.remedy or ""), outcome.remedy
    if world.running(STABLE) == "v2":
        assert outcome.result is Result.FROZEN
        assert outcome.seconds_to_old_code is None


def assert_goes_on(world: World) -> None:
    """Reconcile, once or after the lease, ends on the build that passed."""
    world.killed = None  # the edge has restarted since, and knows of no kill
    for _ in range(2):
        lapse(world)
        put_in_order(world)
    assert world.running(STABLE) == "v1", "the candidate was bad"
    assert world.effective_share() == 0
    assert record(world).stable_build == digest("v1")
    assert record(world).phase == "stable"
    assert world.services[CANARY].instances == 1


def answers(error: type[SlipwayError]) -> Error:
    return lambda call: error(f"{call}: refused", remedy="Look.")


def press(world: World, target: str = "previous", *, edge: bool = True) -> Outcome:
    ports = world.ports()
    return rollback.run(order_of(target), ports, world.stop(ports) if edge else None)


def order_of(target: str) -> rollback.Plan:
    """Return what somebody orders who presses the button."""
    return rollback.Plan(
        release="88.1-rollback",
        settings=settings(**SHORTER),
        stable=STABLE,
        target=target,
        reason="orders are lost",
        actor="ana",
        holder=OTHER,
    )


def fails(
    *prefixes: str, error: Callable[[str], SlipwayError] = no_answer
) -> Callable[[str], None]:
    def hook(call: str) -> None:
        if call.startswith(prefixes):
            raise error(call)

    return hook
