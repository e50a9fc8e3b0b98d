"""The runs that can be stopped, and those that come after: each with a wire of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from slipway.config import Service as Settings
from slipway.errors import Aborted, SlipwayError
from slipway.ports import Artifact, Holder, Phase
from slipway.release import canary, preflight, reconcile, rollback
from slipway.release.deploys import Ports
from slipway.release.journal import Entry, Journal, Kind
from slipway.release.outcome import Outcome, Result
from tests.crash.wire import LateRender, RunnerDied, Wire
from tests.unit.builds import CANARY, STABLE, commit_of, image
from tests.unit.world import World, settings

LEASE = 180.0
SETTINGS: Settings = settings(
    strategy={
        "steps": [{"share": 5, "for": "30s"}],
        "bake": {"share": 95, "for": "30s"},
        "deploy-deadline": "2m",
    },
    health={"deadline": "1m"},
)


@dataclass(slots=True)
class Run:
    """One run, as it ended. ``outcome`` None: its runner died."""

    what: str
    wire: Wire
    outcome: Outcome | None = None

    @property
    def acted(self) -> list[str]:
        return self.wire.acted

    @property
    def result(self) -> Result | None:
        return self.outcome.result if self.outcome else None

    def __str__(self) -> str:
        if self.outcome is None:
            return f"{self.what}: its runner died"
        return f"{self.what}: {self.outcome.result} ({self.outcome.reason})"


Act = Callable[[Ports], Outcome]


def _run(world: World, wire: Wire, what: str, act: Act, *, build: str = "") -> Run:
    run = Run(what, wire)
    begun: set[str] = set()
    journal = Journal(world.clock, lambda entry: _begin(world, build, entry, begun))
    ports = replace(world.ports(), platform=LateRender(world, wire), journal=journal)
    with wire.connected():
        try:
            run.outcome = _ended(lambda: act(ports))
            if begun:
                _tell(world, build, run.outcome)
        except RunnerDied:
            run.outcome = None
    return run


def _ended(act: Callable[[], Outcome]) -> Outcome:
    """What the command makes of an error that ends it before anything was changed."""
    try:
        return act()
    except SlipwayError as error:
        result = Result.ABORTED if isinstance(error, Aborted) else Result.REFUSED
        return Outcome(result=result, reason=error.found, remedy=error.remedy, failure=error)


def _tell(world: World, build: str, outcome: Outcome) -> None:
    """The last thing a run does: its Deployment at GitHub says how it ended."""
    try:
        with world.call("github.told"):
            world.in_progress.discard(build)
            if outcome.result is Result.PROMOTED:
                world.unvouched.discard(build)
    except SlipwayError:
        return


def artifact(world: World, build: str) -> Artifact:
    if world.git:
        return Artifact(kind="commit", reference=commit_of(build), commit=commit_of(build))
    return image(build)


def release(world: World, wire: Wire, build: str, holder: Holder) -> Run:
    """canary-prod of a build."""
    thing = artifact(world, build)
    plan = preflight.Plan(
        release=f"{holder.run_id}.{holder.attempt}-{build}",
        settings=SETTINGS,
        stable=STABLE,
        canary=CANARY,
        artifact=thing,
    )

    def act(ports: Ports) -> Outcome:
        traffic = world.traffic(ports, plan.release, thing.identity, holder=holder)
        return canary.run(plan, ports, traffic)

    return _run(world, wire, f"canary-prod of {build}", act, build=build)


def _begin(world: World, build: str, entry: Entry, begun: set[str]) -> None:
    """The publisher begins a Deployment when the release has begun."""
    if entry.kind is Kind.PHASE and entry.phase is Phase.DEPLOYING and build in world.unvouched:
        world.in_progress.add(build)
        begun.add(build)


def press(world: World, wire: Wire, holder: Holder) -> Run:
    """Promote Previous Build."""
    plan = rollback.Plan(
        release=f"{holder.run_id}.{holder.attempt}-rollback",
        settings=SETTINGS,
        stable=STABLE,
        target="previous",
        reason="orders are lost",
        actor="ana",
        holder=holder,
    )
    return _run(world, wire, "rollback", lambda ports: rollback.run(plan, ports, world.stop(ports)))


def put_in_order(world: World, wire: Wire, holder: Holder, *, finalize: bool = False) -> Run:
    """reconcile, or the job finalize of the run of ``holder``."""
    plan = reconcile.Plan(
        release=f"{holder.run_id}.{holder.attempt}-reconcile",
        settings=SETTINGS,
        stable=STABLE,
        canary=CANARY,
        holder=holder,
        finalize=finalize,
    )

    def act(ports: Ports) -> Outcome:
        return reconcile.run(plan, ports, world.traffic(ports, plan.release, "", holder=holder))

    return _run(world, wire, "finalize" if finalize else "reconcile", act)
