"""The instances of one service: brought up, replaced one for one, watched, taken down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.render import processes
from sandbox.render.model import Deploy, InstanceState, Service
from sandbox.render.processes import HealthChecks, Instance
from sandbox.render.registry import Registry
from sandbox.render.router import Router
from sandbox.render.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What every service shares."""

    settings: Settings
    registry: Registry
    router: Router
    checks: HealthChecks
    logs: Path


class NotHealthy(Exception):
    """An instance ended, or was not healthy in time. ``failure`` is Render's ``failureReason``."""

    def __init__(self, instance: str, failure: dict[str, Any]) -> None:
        super().__init__(f"{instance}: {failure}")
        self.instance = instance
        self.failure = {"evicted": False, **failure}


class Fleet:
    """The processes of one service. Only its runner calls ``converge``, one call at a time."""

    def __init__(self, service: Service, world: World) -> None:
        self.instances: list[Instance] = []
        self._service = service
        self._world = world
        self._timings = world.settings.timings
        self._background: set[asyncio.Task[None]] = set()

    @property
    def _kept(self) -> list[Instance]:
        """Those that serve, or would if they were healthy."""
        kept = {InstanceState.SERVING, InstanceState.UNHEALTHY}
        return [each for each in self.instances if each.state in kept]

    def _of(self, deploy: Deploy) -> list[Instance]:
        return [each for each in self._kept if each.deploy is deploy]

    def _not_of(self, deploy: Deploy) -> list[Instance]:
        return [each for each in self._kept if each.deploy is not deploy]

    async def converge(self, deploy: Deploy) -> None:
        """Have exactly the wanted number of instances of ``deploy`` serve, and no other.

        Traffic never falls below what it was: a new instance is healthy and routed before an old
        one is drained. Raises :class:`NotHealthy`; the old ones not yet replaced go on serving.
        """
        if self._service.disk:
            for old in self._not_of(deploy):
                await asyncio.shield(await self.retire(old))
        one_by_one = self._service.rollout == "one-by-one"
        for instance in self.instances:
            if instance.state is InstanceState.STARTING:  # of a deploy that was cancelled
                self._abolish(instance)
        while (missing := self._service.wanted(deploy) - len(self._of(deploy))) > 0:
            others = self._not_of(deploy)
            replace = one_by_one and bool(others)
            for instance in await self._bring_up(deploy, 1 if replace else missing):
                await self._admit(instance)
            if replace:
                gone = await self.retire(others[0])
                if len(self._of(deploy)) < self._service.wanted(deploy):
                    await asyncio.shield(gone)
        surplus = self._of(deploy)[self._service.wanted(deploy) :]
        for instance in [*self._not_of(deploy), *surplus]:
            await self.retire(instance)

    async def _bring_up(self, deploy: Deploy, count: int) -> list[Instance]:
        """Start ``count`` instances; return them healthy, or none at all."""
        started = [
            await processes.start(self._service, deploy, self._world.logs) for _ in range(count)
        ]
        self.instances.extend(started)
        try:
            await asyncio.gather(*(self._until_healthy(each) for each in started))
        except BaseException:
            for instance in started:
                self._abolish(instance)
            raise
        return started

    async def _until_healthy(self, instance: Instance) -> None:
        deadline = time.monotonic() + self._timings.start_deadline
        path = self._service.health_path
        while why := await self._world.checks.why_unhealthy(instance, path):
            if not instance.alive:
                code = instance.process.returncode
                raise NotHealthy(instance.id, {"nonZeroExit": code, "earlyExit": True})
            if time.monotonic() >= deadline:
                raise NotHealthy(instance.id, {"unhealthy": why})
            await asyncio.sleep(self._timings.start_poll)

    async def _admit(self, instance: Instance) -> None:
        await self._world.router.route(self._service, instance)
        instance.state = InstanceState.SERVING
        instance.failing_since = None

    async def retire_all(self) -> None:
        """Take the service down."""
        for instance in self._kept:
            await self.retire(instance)

    async def retire(self, instance: Instance) -> asyncio.Task[None]:
        """Give an instance no new request, now; the returned task ends with its process.

        What was begun goes on when the caller is cancelled.
        """
        instance.state = InstanceState.DRAINING
        off = asyncio.Event()
        task = self._later(self._drain_and_end(instance, off))
        await off.wait()
        return task

    async def _drain_and_end(self, instance: Instance, off: asyncio.Event) -> None:
        try:
            await self._world.router.drain(self._service, instance)
        finally:
            off.set()
        await asyncio.sleep(self._timings.drain)
        instance.state = InstanceState.ENDING
        await self._end(instance)

    def _abolish(self, instance: Instance) -> None:
        instance.state = InstanceState.ENDING
        self._later(self._end(instance))

    async def _end(self, instance: Instance) -> None:
        await self._world.router.remove(self._service, instance)
        await processes.end(instance.process, self._timings.shutdown_delay)
        if instance in self.instances:
            self.instances.remove(instance)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def check(self) -> bool:
        """Check every instance once. Return whether one was lost and has to be replaced."""
        return any(await asyncio.gather(*(self._check(each) for each in self._kept)))

    async def _check(self, instance: Instance) -> bool:
        why = await self._world.checks.why_unhealthy(instance, self._service.health_path)
        if instance not in self._kept:
            return False  # retired meanwhile
        if not instance.alive:
            self._failed(instance, {"nonZeroExit": instance.process.returncode})
            self._abolish(instance)
            return True
        if why is None:
            if instance.state is InstanceState.UNHEALTHY:
                self._service.note("server_available")
                await self._admit(instance)
            instance.failing_since = None
            return False
        instance.failing_since = instance.failing_since or time.monotonic()
        failing = time.monotonic() - instance.failing_since
        if failing >= self._timings.unroute_after and instance.state is InstanceState.SERVING:
            instance.state = InstanceState.UNHEALTHY
            await self._world.router.unroute(self._service, instance)
            self._failed(instance, {"unhealthy": why})
        if failing >= self._timings.restart_after:
            self._service.note("server_restarted", triggeredByUser=None)
            self._abolish(instance)
            return True
        return False

    def _failed(self, instance: Instance, failure: dict[str, Any]) -> None:
        reason = {"evicted": False, **failure}
        self._service.note("server_failed", instanceID=instance.id, reason=reason)

    async def stop(self) -> None:
        """End every process, whatever it is doing."""
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        patience = min(self._timings.shutdown_delay, 2.0)
        await asyncio.gather(*(processes.end(each.process, patience) for each in self.instances))
        self.instances.clear()
