"""Three services of one instance each behind a balancer, in the world in memory."""

from __future__ import annotations

import pytest

from slipway.ports import Artifact
from slipway.release import fleet, fleet_back
from slipway.release.journal import Kind
from slipway.release.outcome import Outcome
from tests.unit.world import PlacedService, World, settings

FLEET = ("srv-a", "srv-b", "srv-c")


def trio(*, git: bool = True) -> World:
    world = World(git=git)
    for name in FLEET:
        world.services[name] = PlacedService(name, 1, autoscaling=None)
        world.seed(name, "v0", "v1")
    world.balanced = FLEET
    return world


class Film:
    """A fleet, and at each call to the outside how many of its services could serve."""

    def __init__(self, world: World | None = None, **rules: object) -> None:
        self.world = world or trio()
        self.ports = self.world.ports()
        self.fewest = len(FLEET)
        self.rules = {"probe-every": "1s", "one-by-one": "required", **rules}
        self._hook = self.world.before
        self.world.before = self._count

    def _count(self, call: str) -> None:
        self.fewest = min(self.fewest, sum(map(self.serves, FLEET)))
        self._hook(call)

    def serves(self, name: str) -> bool:
        """Return whether a service is well and nothing is being deployed to it."""
        world = self.world
        service = world.services[name]
        if any(world.status(service, d) == "update_in_progress" for d in service.deploys):
            return False
        return world.is_well(service)

    def settings(self) -> dict[str, object]:
        return {
            "stable": None,
            "canary": None,
            "edge": None,
            "fleet": list(FLEET),
            "url": "https://www.example",
            "strategy": {"rolling": self.rules},
        }

    def release(self, artifact: Artifact) -> Outcome:
        plan = fleet.Plan(
            release="77.1-v2", settings=settings(**self.settings()), fleet=FLEET, artifact=artifact
        )
        return fleet.run(plan, self.ports)

    def press(self, target: str = "previous") -> Outcome:
        plan = fleet_back.Plan(
            release="78.1-rollback",
            settings=settings(**self.settings()),
            fleet=FLEET,
            target=target,
            reason="orders are lost",
            actor="ana",
        )
        return fleet_back.run(plan, self.ports)

    def running(self) -> list[str | None]:
        return [self.world.running(name) for name in FLEET]

    def order(self, verb: str) -> list[str]:
        prefix = f"render.{verb} "
        return [c.removeprefix(prefix) for c in self.world.calls if c.startswith(prefix)]

    def said(self, kind: Kind) -> str:
        return "\n".join(e.text for e in self.ports.journal.entries if e.kind is kind)


def killed_after_the_second(film: Film, artifact: Artifact) -> None:
    """The runner dies when the third is about to be deployed."""

    class Killed(BaseException):
        pass

    before = film.world.before

    def die(call: str) -> None:
        before(call)
        if call == "render.start srv-c":
            raise Killed

    film.world.before = die
    with pytest.raises(Killed):
        film.release(artifact)
    film.world.before = before
    film.world.calls.clear()
