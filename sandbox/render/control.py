"""The endpoints under ``/_sandbox``: what a test or a demonstration may do that no user can."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.render import deploys
from sandbox.render.api import body_of
from sandbox.render.deploys import Refusal
from sandbox.render.faults import Fault
from sandbox.render.model import Deploy, InstanceState
from sandbox.render.processes import Instance
from sandbox.render.settings import ImageSettings, Rollout
from sandbox.render.state import Render


class Control:
    """The control interface of one sandbox."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/_sandbox/images", self.push_image, methods=["POST"]),
            Route("/_sandbox/instances", self.instances, methods=["GET"]),
            Route("/_sandbox/targets", self.targets, methods=["GET"]),
            Route("/_sandbox/instances/{instance}/kill", self.kill, methods=["POST"]),
            Route("/_sandbox/rollout", self.rollout, methods=["POST"]),
            Route("/_sandbox/push", self.push_commit, methods=["POST"]),
            Route("/_sandbox/autoscale", self.autoscale, methods=["POST"]),
            Route("/_sandbox/metrics", self.metrics, methods=["POST"]),
            Route("/_sandbox/fault", self.fault, methods=["POST"]),
            Route("/_sandbox/fault", self.behave, methods=["DELETE"]),
        ]

    async def push_image(self, request: Request) -> Response:
        """``POST /_sandbox/images {ref, commit, version, behaviour, tag?}``."""
        try:
            self._render.world.registry.push(ImageSettings(**await body_of(request)))
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from None
        return JSONResponse({}, 201)

    async def rollout(self, request: Request) -> Response:
        """``POST /_sandbox/rollout {service, rollout}``: how its instances are replaced next."""
        body = await body_of(request)
        runner = self._render.runners.get(str(body.get("service")))
        if runner is None:
            raise Refusal(404, "no such service")
        if body.get("rollout") not in get_args(Rollout):
            raise Refusal(400, f"rollout is one of {', '.join(get_args(Rollout))}")
        runner.service.rollout = body["rollout"]
        return Response(status_code=204)

    async def push_commit(self, request: Request) -> Response:
        """``POST /_sandbox/push {service}``: somebody pushed to its branch.

        Deploys the branch's head where auto-deploy is on, as Render does; else 204.
        """
        runner = self._render.runners.get(str((await body_of(request)).get("service")))
        if runner is None or runner.service.repo is None:
            raise Refusal(404, "no such git-backed service")
        if runner.service.auto_deploy != "yes":
            return Response(status_code=204)
        source = await deploys.choose_source(runner, self._render.world, commit=None, image=None)
        deploy = Deploy(source=source, trigger="new_commit", env=dict(runner.service.env))
        deploys.begin(runner, deploy, self._render.settings.overlap_policy)
        return JSONResponse({"id": deploy.id}, 201)

    async def autoscale(self, request: Request) -> Response:
        """``POST /_sandbox/autoscale {service, instances}``: as load would, while it is on."""
        body = await body_of(request)
        runner = self._render.runners.get(str(body.get("service")))
        if runner is None or runner.service.autoscaled is None:
            raise Refusal(404, "no such service, or its autoscaling is off")
        if not isinstance(body.get("instances"), int) or body["instances"] < 1:
            raise Refusal(400, "instances is a number")
        runner.autoscale(body["instances"])
        return Response(status_code=204)

    async def metrics(self, request: Request) -> Response:
        """``POST /_sandbox/metrics {lag, by_status}``: how late they are; what the plan allows."""
        body = await body_of(request)
        lag, allowed = body.get("lag"), body.get("by_status")
        settings = self._render.settings
        self._render.settings = replace(
            settings,
            metrics_lag=settings.metrics_lag if lag is None else float(lag),
            metrics_by_status=settings.metrics_by_status if allowed is None else bool(allowed),
        )
        return Response(status_code=204)

    async def instances(self, _: Request) -> Response:
        """``GET /_sandbox/instances``: every process, its build, deploy and state."""
        return JSONResponse(
            [
                {
                    "service": runner.service.id,
                    "name": runner.service.name,
                    "id": each.id,
                    "url": each.url,
                    "pid": each.process.pid,
                    "build": each.deploy.build.commit if each.deploy.build else None,
                    "deploy": each.deploy.id,
                    "state": str(each.state),
                }
                for runner in self._render.all_runners
                for each in runner.fleet.instances
            ]
        )

    async def targets(self, _: Request) -> Response:
        """``GET /_sandbox/targets``: the bots' running instances, as HTTP service discovery.

        The shape is Prometheus' own for ``http_sd_configs``. A real Prometheus at Render finds
        instances by the name ``<host>-discovery``, with nothing about their build: the bot exports
        that itself.
        """
        return JSONResponse(
            [
                {
                    "targets": [each.url.removeprefix("http://")],
                    "labels": {"service": runner.service.id, "instance": each.id},
                }
                for runner in self._render.all_runners
                if runner.service.app == "bot"
                for each in runner.fleet.instances
                if each.alive and each.state is not InstanceState.STARTING
            ]
        )

    async def kill(self, request: Request) -> Response:
        """``POST /_sandbox/instances/{id}/kill``: the process dies of SIGKILL."""
        instance = self._instance(request.path_params["instance"])
        os.kill(instance.process.pid, signal.SIGKILL)
        return Response(status_code=204)

    def _instance(self, instance_id: str) -> Instance:
        for runner in self._render.all_runners:
            for each in runner.fleet.instances:
                if each.id == instance_id and each.alive:
                    return each
        raise Refusal(404, f"no such instance: {instance_id}")

    async def fault(self, request: Request) -> Response:
        """``POST /_sandbox/fault {kind, …}``; see :class:`sandbox.render.faults.Fault`."""
        try:
            self._render.faults.add(Fault(**await body_of(request)))
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from None
        return JSONResponse({}, 201)

    async def behave(self, _: Request) -> Response:
        """``DELETE /_sandbox/fault``: clear every fault."""
        self._render.faults.clear()
        return Response(status_code=204)
