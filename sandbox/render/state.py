"""The sandbox's Render as a whole: made from its settings, started, stopped."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sandbox.render import changes, registry
from sandbox.render.faults import Faults
from sandbox.render.fleet import World
from sandbox.render.model import Build, Deploy, Service, Source, Status, now
from sandbox.render.processes import HealthChecks
from sandbox.render.registry import Registry
from sandbox.render.router import Router
from sandbox.render.runner import Runner
from sandbox.render.settings import Rollout, ServiceSettings, Settings

_READY_MARGIN = 15.0
"""Seconds beyond an instance's own deadline: at boot everything starts at once."""


class NotReady(RuntimeError):
    """A live build did not become healthy at boot."""


def _service(settings: ServiceSettings, rollout: Rollout) -> Service:
    service = Service(
        id=settings.id,
        name=settings.name,
        type=settings.type,
        runtime=settings.runtime,
        app=settings.app,
        port=settings.port,
        image=settings.image,
        repo=settings.repo,
        branch=settings.branch,
        root_dir=settings.rootDir,
        num_instances=settings.num_instances,
        health_path=settings.health_path,
        auto_deploy=settings.auto_deploy,
        env=dict(settings.env),
        rollout=rollout,
        plan=settings.plan,
        region=settings.region,
        start_command=settings.start_command,
        disk=settings.disk,
        maintenance=settings.maintenance,
    )
    if settings.autoscaling is not None:
        asked = {"criteria": changes.CRITERIA, **settings.autoscaling}
        service.autoscaled = changes.set_autoscaling(service, asked)
        service.events.clear()
    return service


class Render:
    """All services, and what they share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.tasks: list[asyncio.Task[None]] = []
        """What has to go on for as long as the sandbox runs."""
        logs = settings.state_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        services = [_service(each, settings.rollout) for each in settings.services]
        self.world = World(
            settings=settings,
            registry=Registry(settings.images),
            router=Router(settings.state_dir, services, settings.slots),
            checks=HealthChecks(settings.timings.health_timeout),
            logs=logs,
        )
        self.runners = {each.id: Runner(each, self.world) for each in services}

    @property
    def all_runners(self) -> list[Runner]:
        """Every service's runner, in the order of the configuration."""
        return list(self.runners.values())

    async def start(self) -> None:
        """Play the history, start what is live, return when it is healthy.

        Raises :class:`NotReady`, :class:`sandbox.render.registry.NoBuild`, or
        :class:`sandbox.render.router.RouterError`.
        """
        for settings in self.settings.services:
            await self._play(self.runners[settings.id].service, settings.history)
        await self.world.router.start()
        self.tasks = [task for runner in self.all_runners for task in runner.start()]
        patience = self.settings.timings.start_deadline + _READY_MARGIN
        for runner in self.all_runners:
            try:
                await asyncio.wait_for(runner.ready.wait(), patience)
            except TimeoutError:
                raise NotReady(f"{runner.service.name} did not become healthy") from None

    async def stop(self) -> None:
        """End every process."""
        await asyncio.gather(*(each.stop() for each in self.all_runners))
        await self.world.router.stop()
        await self.world.checks.close()

    async def _play(self, service: Service, history: list[str]) -> None:
        """Record deploys an hour apart that have already happened."""
        for age, artifact in zip(range(len(history), 0, -1), history, strict=True):
            at = now() - timedelta(hours=age)
            source, build = await self._past(service, artifact)
            last = age == 1
            service.deploys.append(
                Deploy(
                    source=source,
                    build=build,
                    trigger="api",
                    env=dict(service.env),
                    status=Status.LIVE if last else Status.DEACTIVATED,
                    created=at,
                    started=at,
                    finished=at + timedelta(minutes=2),
                    updated=at + timedelta(minutes=2 if last else 62),
                    scaled_to=service.num_instances,
                )
            )
        service.created = service.updated = service.deploys[0].created

    async def _past(self, service: Service, artifact: str) -> tuple[Source, Build]:
        if service.runtime == "image":
            source = self.world.registry.resolve(artifact)
            return source, self.world.registry.pull(source)
        source = await registry.commit_source(service.repo or "", artifact)
        build = await registry.build_commit(
            service.repo or "", service.root_dir, source.commit or ""
        )
        return source, build
