"""The wire between one runner and the outside: what happens to the call with a certain number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from slipway.errors import Unreachable
from slipway.ports import Artifact, Deploy
from tests.unit.world import World
from tests.unit.world_ports import MemoryRender

T = TypeVar("T")
LATE = 1.0
"""Seconds after the death of its runner at which a call that was on its way takes effect."""
ON_ITS_WAY = ("render.start", "render.roll_back", "render.scale", "render.cancel")
"""Calls that can arrive at Render after the runner that made them has died."""


class RunnerDied(BaseException):
    """The machine is gone: nothing cleans up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call: ``before``, ``after`` and ``late`` kill the runner."""

    at: int
    """Number of the call, from 1."""
    mode: str
    """``before`` it acts; ``after`` it has; ``late``: it acts after the death. The runner lives
    through ``lost`` (it acts, and no answer comes) and ``refused`` (it does not act). ``asleep``:
    it hangs until whoever comes after is done, and goes on then, none the wiser. ``gone``: from
    this call on the system that it is made to answers this runner nothing."""


class Wire:
    """Numbers the calls of one runner, and does to one of them what ``fault`` says."""

    def __init__(self, world: World, fault: Fault | None = None) -> None:
        self._world = world
        self._fault = fault
        self.calls: list[str] = []
        self.acted: list[str] = []
        self.dead = False
        self.late = False
        self._gone = ""
        self.at_call: Callable[[Wire, str], None] = lambda wire, call: None
        """What somebody else does just before a call."""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while the runner is asleep."""

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Let the calls of the world be this runner's."""
        world = self._world
        hooks = world.before, world.after
        world.before, world.after = self._before, self._after
        try:
            yield
        finally:
            world.before, world.after = hooks

    def _hit(self, *modes: str) -> bool:
        fault = self._fault
        return fault is not None and len(self.calls) == fault.at and fault.mode in modes

    def _before(self, call: str) -> None:
        if self.dead:
            raise RunnerDied
        self.calls.append(call)
        self.at_call(self, call)
        if self._hit("before", "late"):
            self.dead, self.late = True, self._hit("late")
            raise RunnerDied
        if self._hit("asleep"):
            self.meanwhile()
        if self._hit("gone"):
            self._gone = system_of(call)
        if self._hit("refused") or (self._gone and call.startswith(self._gone)):
            raise Unreachable(f"{call} got no answer", remedy="Try again.")

    def _after(self, call: str) -> None:
        self.acted.append(call)
        if self._hit("after"):
            self.dead = True
            raise RunnerDied
        if self._hit("lost"):
            raise Unreachable(f"the answer to {call} was lost", remedy="Try again.")


def system_of(call: str) -> str:
    """Return how the names of all calls to the same system begin."""
    return call.partition(".")[0] + "."


class LateRender(MemoryRender):
    """Render, and what is still on its way there when its sender dies."""

    def __init__(self, world: World, wire: Wire) -> None:
        super().__init__(world)
        self._wire = wire

    def _send(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except RunnerDied:
            if self._wire.late:
                self._wire.late = False
                self.w.landing.append((self.w.clock.t + LATE, act))
            raise

    def start_deploy(self, service_id: str, artifact: Artifact) -> Deploy | None:
        return self._send(lambda: MemoryRender.start_deploy(self, service_id, artifact))

    def roll_back(self, service_id: str, deploy_id: str) -> Deploy:
        return self._send(lambda: MemoryRender.roll_back(self, service_id, deploy_id))

    def cancel_deploy(self, service_id: str, deploy_id: str) -> None:
        self._send(lambda: MemoryRender.cancel_deploy(self, service_id, deploy_id))

    def scale(self, service_id: str, instances: int) -> None:
        self._send(lambda: MemoryRender.scale(self, service_id, instances))
