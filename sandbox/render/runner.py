"""One service at work: its deploys carried out one at a time, its instances kept up."""

from __future__ import annotations

import asyncio
import contextlib

from sandbox.render import registry
from sandbox.render.fleet import Fleet, NotHealthy, World
from sandbox.render.model import Build, Deploy, Service, Status
from sandbox.render.registry import NoBuild
from sandbox.render.wire import failure_reason, trigger_details

_BACKOFF = 0.5
"""Seconds before the live build is started once more after it could not be."""


class Runner:
    """Carries out what is asked of one service."""

    def __init__(self, service: Service, world: World) -> None:
        self.service = service
        self.fleet = Fleet(service, world)
        self._world = world
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._deploying: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        """Set once the live build serves."""

    def start(self) -> list[asyncio.Task[None]]:
        """Bring the live build up, and keep at it until :meth:`stop`.

        Return the tasks that do it: one that ends by itself is a fault of the sandbox.
        """
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._watch())]
        return self._tasks

    async def stop(self) -> None:
        """End everything this service runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.fleet.stop()

    def wake(self) -> None:
        """Look again: something was asked for."""
        self._wake.set()

    def abandon(self, deploy: Deploy) -> None:
        """Stop carrying out ``deploy``, which is no longer wanted; the live build is restored."""
        deploy.move(Status.CANCELED)
        self._ended(deploy, "canceled", {})
        if self._deploying is not None:
            self._deploying.cancel()
        self.wake()

    def skip(self, deploy: Deploy) -> None:
        """Take a queued deploy out of the queue."""
        deploy.move(Status.CANCELED)
        self._ended(deploy, "canceled", {})

    def scale(self, count: int) -> None:
        """Have ``count`` instances from now on."""
        before = self.service.wanted(self.service.live)
        self.service.num_instances = count
        self.service.live.instances = None
        if count != before:
            self.service.note("instance_count_changed", fromInstances=before, toInstances=count)
        self.wake()

    def autoscale(self, count: int | None) -> None:
        """Have as many instances as autoscaling chose; ``None``: it is off."""
        before = self.service.wanted(self.service.live)
        self.service.autoscaled = count
        after = self.service.wanted(self.service.live)
        if after != before:
            bounds = {"fromInstances": before, "toInstances": after}
            for kind in ("autoscaling_started", "autoscaling_ended"):
                self.service.note(kind, **bounds)
        self.wake()

    def suspend(self) -> None:
        """Take the service down; a deploy under way or waiting is cancelled."""
        if self.service.suspended:
            return
        for waiting in self.service.queued:
            self.skip(waiting)
        if self.service.running is not None:
            self.abandon(self.service.running)
        self.service.suspended = True
        self.service.note("service_suspended")
        self.wake()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            if not await self._step():
                self._wake.set()
                await asyncio.sleep(_BACKOFF)
            await self._wake.wait()

    async def _step(self) -> bool:
        """Do the next thing. Return whether it succeeded."""
        if self.service.suspended:
            await self.fleet.retire_all()
            return True
        deploy = self._next()
        if deploy is not None:
            self._deploying = asyncio.create_task(self._deploy(deploy))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self._deploying])
                await self._deploying
            self._deploying = None
            self.wake()
            return True
        return await self._settle()

    def _next(self) -> Deploy | None:
        if self.service.running is None and self.service.queued:
            self.service.queued[0].move(Status.CREATED)
        return self.service.running

    async def _settle(self) -> bool:
        try:
            await self.fleet.converge(self.service.live)
        except NotHealthy as error:
            self.service.note("server_failed", instanceID=error.instance, reason=error.failure)
            return False
        self.ready.set()
        return True

    async def _deploy(self, deploy: Deploy) -> None:
        self.service.note("deploy_started", deployId=deploy.id, trigger=trigger_details(deploy))
        try:
            deploy.build = await self._build(deploy)
        except NoBuild as error:
            image = deploy.source.image
            if image is not None:
                self.service.note("image_pull_failed", message=str(error), imageURL=image)
            self._fail(deploy, {"evicted": False, "nonZeroExit": 1})
            return
        deploy.move(Status.UPDATING)
        try:
            await self.fleet.converge(deploy)
        except NotHealthy as error:
            self._fail(deploy, error.failure)
            return
        before = self.service.live
        before.scaled_to = self.service.wanted(before)
        before.move(Status.DEACTIVATED)
        deploy.move(Status.LIVE)
        self._ended(deploy, "succeeded", {})

    async def _build(self, deploy: Deploy) -> Build:
        source, repo = deploy.source, self.service.repo
        if source.commit is None or repo is None:
            return self._world.registry.pull(source)
        if deploy.build is not None:
            return deploy.build  # a rollback, or deploy_only: the artefact is kept
        deploy.move(Status.BUILDING)
        await asyncio.sleep(self._world.settings.timings.build)
        return await registry.build_commit(repo, self.service.root_dir, source.commit)

    def _fail(self, deploy: Deploy, failure: dict[str, object]) -> None:
        building = deploy.status is Status.BUILDING
        deploy.move(Status.BUILD_FAILED if building else Status.UPDATE_FAILED)
        self._ended(deploy, "failed", failure)

    def _ended(self, deploy: Deploy, outcome: str, failure: dict[str, object]) -> None:
        self.service.note(
            "deploy_ended",
            deployId=deploy.id,
            deployStatus=outcome,
            status={"succeeded": 2, "failed": 3, "canceled": 4}[outcome],
            reason=failure_reason(failure),
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._world.settings.timings.health_interval)
            if await self.fleet.check():
                self.wake()
