"""The endpoints under ``/v1``: what the suite needs of Render's API."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.render import deploys, paging, wire
from sandbox.render.changes import patch, set_autoscaling
from sandbox.render.deploys import Refusal
from sandbox.render.metrics import known_until
from sandbox.render.model import Deploy, now
from sandbox.render.runner import Runner
from sandbox.render.state import Render


async def body_of(request: Request) -> dict[str, Any]:
    """Return a JSON object; an empty body is an empty one. Raises :class:`Refusal` (400)."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        document = json.loads(raw)
    except ValueError:
        raise Refusal(400, "invalid JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "invalid JSON: expected an object")
    return document


class Api:
    """Render's API over one sandbox."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._policy = render.settings.overlap_policy

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/v1/services/{service}"
        return [
            Route("/v1/services", self.list_services, methods=["GET"]),
            Route(one, self.get_service, methods=["GET"]),
            Route(one, self.patch_service, methods=["PATCH"]),
            Route(f"{one}/deploys", self.list_deploys, methods=["GET"]),
            Route(f"{one}/deploys", self.create_deploy, methods=["POST"]),
            Route(f"{one}/deploys/{{deploy}}", self.get_deploy, methods=["GET"]),
            Route(f"{one}/deploys/{{deploy}}/cancel", self.cancel_deploy, methods=["POST"]),
            Route(f"{one}/rollback", self.roll_back, methods=["POST"]),
            Route(f"{one}/scale", self.scale, methods=["POST"]),
            Route(f"{one}/autoscaling", self.put_autoscaling, methods=["PUT"]),
            Route(f"{one}/autoscaling", self.delete_autoscaling, methods=["DELETE"]),
            Route(f"{one}/suspend", self.suspend, methods=["POST"]),
            Route(f"{one}/resume", self.resume, methods=["POST"]),
            Route(f"{one}/instances", self.list_instances, methods=["GET"]),
            Route(f"{one}/events", self.list_events, methods=["GET"]),
            Route(f"{one}/env-vars", self.list_env_vars, methods=["GET"]),
            Route(f"{one}/env-vars/{{key}}", self.put_env_var, methods=["PUT"]),
            Route("/v1/metrics/http-requests", self.http_requests, methods=["GET"]),
        ]

    def _runner(self, request: Request) -> Runner:
        service = request.path_params["service"]
        runner = self._render.runners.get(service)
        if runner is None:
            raise Refusal(404, f"not found: {service}")
        return runner

    async def list_services(self, request: Request) -> Response:
        """``GET /v1/services``."""
        query = request.query_params
        wanted = {
            "name": paging.several(query, "name"),
            "type": paging.several(query, "type"),
            "suspended": paging.several(query, "suspended"),
        }
        bodies = [(each.service, wire.service(each.service)) for each in self._render.all_runners]
        chosen = [
            service
            for service, body in bodies
            if all(not values or body[key] in values for key, values in wanted.items())
        ]
        return JSONResponse(paging.page(chosen, query, "service", wire.service))

    async def get_service(self, request: Request) -> Response:
        """``GET /v1/services/{id}``."""
        return JSONResponse(wire.service(self._runner(request).service))

    async def patch_service(self, request: Request) -> Response:
        """``PATCH /v1/services/{id}``. Starts no deploy: what is changed counts from the next."""
        service = self._runner(request).service
        closed = service.maintenance
        patch(service, await body_of(request))
        if service.maintenance != closed:
            await self._render.world.router.close_to_public(service, closed=service.maintenance)
        return JSONResponse(wire.service(service))

    async def list_deploys(self, request: Request) -> Response:
        """``GET …/deploys``, newest first."""
        query, service = request.query_params, self._runner(request).service
        statuses = paging.several(query, "status")
        chosen = [
            each
            for each in reversed(service.deploys)
            if (not statuses or (each.shown_as or each.status) in statuses)
            and paging.within(query, "created", each.created)
            and paging.within(query, "updated", each.updated)
            and paging.within(query, "finished", each.finished)
        ]
        return JSONResponse(paging.page(chosen, query, "deploy", wire.deploy))

    async def create_deploy(self, request: Request) -> Response:
        """``POST …/deploys``: 201 with the deploy, or 202 with nothing where it has to wait."""
        runner, asked = self._runner(request), await body_of(request)
        image, commit = asked.get("imageUrl"), asked.get("commitId")
        if asked.get("clearCache", "do_not_clear") not in {"clear", "do_not_clear"}:
            raise Refusal(400, "invalid clearCache")
        mode = asked.get("deployMode", "build_and_deploy")
        if mode not in {"build_and_deploy", "deploy_only"}:
            raise Refusal(400, "invalid deployMode")
        if mode == "deploy_only":
            if image or commit or "clearCache" in asked:
                raise Refusal(400, "deploy_only takes no imageUrl, commitId or clearCache")
            deploy = deploys.again(runner, trigger="api")
        else:
            source = await deploys.choose_source(
                runner, self._render.world, commit=commit, image=image
            )
            deploy = Deploy(source=source, trigger="api", env=dict(runner.service.env))
        at_once = deploys.begin(runner, deploy, self._policy)
        deploy.shown_as = self._render.faults.take_status()
        return JSONResponse(wire.deploy(deploy), 201) if at_once else Response(status_code=202)

    async def get_deploy(self, request: Request) -> Response:
        """``GET …/deploys/{id}``."""
        deploy_id = request.path_params["deploy"]
        deploy = self._runner(request).service.find(deploy_id)
        if deploy is None:
            raise Refusal(404, f"not found: {deploy_id}")
        return JSONResponse(wire.deploy(deploy))

    async def cancel_deploy(self, request: Request) -> Response:
        """``POST …/deploys/{id}/cancel``."""
        deploy = deploys.cancel(self._runner(request), request.path_params["deploy"])
        return JSONResponse(wire.deploy(deploy))

    async def roll_back(self, request: Request) -> Response:
        """``POST …/rollback``: always a new deploy. Auto-deploy stays as it is."""
        runner, asked = self._runner(request), await body_of(request)
        target = asked.get("deployId")
        if not isinstance(target, str):
            raise Refusal(400, "deployId is required")
        deploy = deploys.roll_back(runner, target, self._render.settings)
        return JSONResponse(wire.deploy(deploy), 201)

    async def scale(self, request: Request) -> Response:
        """``POST …/scale``: 202; ignored while autoscaling is on."""
        runner, asked = self._runner(request), await body_of(request)
        count = asked.get("numInstances")
        most = self._render.settings.most_instances  # Render: 100
        if not isinstance(count, int) or not 1 <= count <= most:
            raise Refusal(400, f"numInstances must be between 1 and {most}")
        if runner.service.disk and count > 1:
            raise Refusal(400, "a service with a disk cannot have several instances")
        if not (runner.service.autoscaling or {}).get("enabled"):
            runner.scale(count)
        return Response(status_code=202)

    async def put_autoscaling(self, request: Request) -> Response:
        """``PUT …/autoscaling``."""
        runner = self._runner(request)
        runner.autoscale(set_autoscaling(runner.service, await body_of(request)))
        return JSONResponse(dict(runner.service.autoscaling or {}))

    async def delete_autoscaling(self, request: Request) -> Response:
        """``DELETE …/autoscaling``."""
        runner = self._runner(request)
        runner.service.autoscaling = None
        runner.autoscale(None)
        return Response(status_code=204)

    async def suspend(self, request: Request) -> Response:
        """``POST …/suspend``."""
        self._runner(request).suspend()
        return Response(status_code=202)

    async def resume(self, request: Request) -> Response:
        """``POST …/resume``: a new deploy of what was live (trigger ``service_resumed``)."""
        runner = self._runner(request)
        if runner.service.suspended:
            runner.service.suspended = False
            runner.service.note("service_resumed")
            deploys.begin(runner, deploys.again(runner, trigger="service_resumed"), self._policy)
        return Response(status_code=202)

    async def list_instances(self, request: Request) -> Response:
        """``GET …/instances``: a bare array, unlike every other list."""
        runner = self._runner(request)
        return JSONResponse([wire.instance(each) for each in runner.fleet.instances])

    async def list_events(self, request: Request) -> Response:
        """``GET …/events``, newest first; the last hour unless told otherwise."""
        query, service = request.query_params, self._runner(request).service
        kinds = paging.several(query, "type")
        start = paging.moment(query, "startTime") or now() - timedelta(hours=1)
        end = paging.moment(query, "endTime") or now()
        chosen = [
            each
            for each in reversed(service.events)
            if start <= each.at <= end and (not kinds or each.type in kinds)
        ]
        return JSONResponse(
            paging.page(chosen, query, "event", lambda each: wire.event(each, service.id))
        )

    async def list_env_vars(self, request: Request) -> Response:
        """``GET …/env-vars``."""
        service = self._runner(request).service
        variables = [wire.EnvVar(key, value) for key, value in sorted(service.env.items())]
        return JSONResponse(paging.page(variables, request.query_params, "envVar", wire.env_var))

    async def put_env_var(self, request: Request) -> Response:
        """``PUT …/env-vars/{key}``: counts from the next deploy."""
        service, asked = self._runner(request).service, await body_of(request)
        key, value = request.path_params["key"], asked.get("value")
        if not isinstance(value, str):
            raise Refusal(400, "value is required")
        service.env[key] = value
        return JSONResponse(wire.env_var(wire.EnvVar(key, value)))

    async def http_requests(self, request: Request) -> Response:
        """``GET /v1/metrics/http-requests``: by status code; a bare array, a little late."""
        query, settings = request.query_params, self._render.settings
        if query.get("aggregateBy") != "statusCode":
            raise Refusal(400, "the sandbox counts by statusCode only")
        if not settings.metrics_by_status:
            raise Refusal(400, "this metric is not available on your plan")
        resolution = query.get("resolutionSeconds", "60")
        if not resolution.isdecimal() or int(resolution) < 30:
            raise Refusal(400, "resolutionSeconds must be 30 or more")
        end = paging.moment(query, "endTime") or now()
        start = paging.moment(query, "startTime") or end - timedelta(hours=1)
        until = known_until(end, settings.metrics_lag)
        resources = paging.several(query, "resource")
        counts = self._render.world.router.counts
        return JSONResponse(counts.series(resources, start, until, int(resolution)))
