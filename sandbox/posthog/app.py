"""The HTTP side of the PostHog sandbox."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.posthog.answers import (
    Problem,
    annotation_body,
    evaluated,
    fault_answer,
    flag_body,
    on_bad_body,
    on_problem,
    page,
    query_body,
    refusal,
    throttled,
    too_many,
)
from sandbox.posthog.evaluate import evaluate
from sandbox.posthog.limits import Limits
from sandbox.posthog.query import NotUnderstood, answered
from sandbox.posthog.store import Conflict, Rejected, Store, User
from sandbox.serving import (
    BadRequestBody,
    FaultMiddleware,
    Faults,
    json_object,
    order_fault,
)

KEPT_EVENTS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Keys of the one project. Personal keys belong to users."""

    project: int = 1
    project_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    personal_keys: Mapping[str, User] = field(repr=False)


class PostHog:
    """The endpoints. One project, several people."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.faults = Faults()
        self.limits = Limits()
        self.annotations: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.unknown: list[str] = []
        """Paths that were asked for and are not here."""
        self.hits: dict[str, int] = {"definitions": 0, "not_modified": 0, "flags": 0, "batch": 0}

    def app(self) -> ASGIApp:
        """Return the ASGI application."""
        flags = "/api/projects/{project}/feature_flags"
        routes = [
            Route(f"{flags}/", self.list_or_create, methods=["GET", "POST"]),
            Route(f"{flags}/activity/", self.list_activity),
            Route(f"{flags}/{{id:int}}/", self.one_flag, methods=["GET", "PATCH", "DELETE"]),
            Route(f"{flags}/{{id:int}}/activity/", self.list_activity),
            Route("/api/projects/{project}/activity_log/", self.list_activity),
            Route("/api/projects/{project}/annotations/", self.annotate, methods=["GET", "POST"]),
            Route("/api/projects/{project}/query/", self.query, methods=["POST"]),
            Route("/flags/definitions", self.definitions),
            Route("/flags/", self.evaluate, methods=["POST"]),
            Route("/batch/", self.capture, methods=["POST"]),
            Route("/_sandbox/fault", self.fault, methods=["POST"]),
            Route("/_sandbox/state", self.state),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(FaultMiddleware, faults=self.faults, answer=fault_answer)],
            exception_handlers={
                Problem: on_problem,
                BadRequestBody: on_bad_body,
                404: self.not_found,
            },
        )

    async def list_or_create(self, request: Request) -> Response:
        """List flags (``search``, ``limit``, ``offset``), or create one."""
        user = self._user(request)
        if request.method == "POST":
            self._check_scope(user)
            body = await json_object(request)
            try:
                flag = self.store.create(body, user)
            except Rejected as error:
                raise refusal(error) from error
            return JSONResponse(flag_body(flag), 201)
        search = request.query_params.get("search", "").lower()
        found = [
            flag_body(flag)
            for flag in self.store.flags.values()
            if not flag.deleted and search in f"{flag.key} {flag.name}".lower()
        ]
        return JSONResponse(page(request, found))

    async def one_flag(self, request: Request) -> Response:
        """Read or change one flag; PostHog refuses to delete."""
        user = self._user(request)
        if request.method == "DELETE":
            detail = 'Method "DELETE" not allowed.'
            raise Problem(405, "invalid_request", "method_not_allowed", detail)
        flag = self.store.flags.get(request.path_params["id"])
        body = await json_object(request) if request.method == "PATCH" else {}
        restores = flag is not None and flag.deleted and body.get("deleted") is False
        if flag is None or (flag.deleted and not restores):
            raise Problem(404, "invalid_request", "not_found", "Not found.")
        if request.method == "PATCH":
            self._check_scope(user)
            try:
                flag = self.store.update(flag, body, user)
            except Rejected as error:
                raise refusal(error) from error
            except Conflict as error:
                # PostHog's own answer: a conflict has the type "server_error".
                raise Problem(409, "server_error", "conflict", str(error)) from error
        return JSONResponse(flag_body(flag))

    async def list_activity(self, request: Request) -> Response:
        """List who changed what, newest first."""
        self._user(request)
        wanted = request.path_params.get("id")
        found = [a for a in self.store.activity if wanted is None or a["item_id"] == str(wanted)]
        answer = page(request, found)
        return JSONResponse({**answer, "total_count": len(found)})

    async def annotate(self, request: Request) -> Response:
        """List annotations, or add one."""
        user = self._user(request)
        if request.method == "GET":
            return JSONResponse(page(request, self.annotations))
        body = await json_object(request)
        content = body.get("content")
        if content is not None and (not isinstance(content, str) or len(content) > 400):
            detail = "Ensure this field has no more than 400 characters."
            raise Problem(400, "validation_error", "max_length", detail, "content")
        for name, allowed in (
            ("creation_type", ("USR", "GIT")),
            ("scope", ("dashboard_item", "dashboard", "project", "organization", "recording")),
        ):
            if name in body and body[name] not in allowed:
                detail = f'"{body[name]}" is not a valid choice.'
                raise Problem(400, "validation_error", "invalid_choice", detail, name)
        annotation = annotation_body(len(self.annotations) + 1, body, user)
        self.annotations.insert(0, annotation)
        return JSONResponse(annotation, 201)

    async def query(self, request: Request) -> Response:
        """Count events; see :mod:`sandbox.posthog.query` for what is understood."""
        user = self._user(request)
        if not user.queries:
            detail = "API key missing required scope 'query:read'"
            raise Problem(403, "authentication_error", "permission_denied", detail)
        body = await json_object(request)
        if wait := self.limits.query():
            raise throttled(wait)
        try:
            row = answered(body.get("query"), self.events)
        except NotUnderstood as error:
            raise Problem(400, "validation_error", "invalid_input", str(error)) from error
        return JSONResponse(query_body(row))

    async def definitions(self, request: Request) -> Response:
        """Serve the definitions cache to SDKs and the edge."""
        self.hits["definitions"] += 1
        key = _bearer(request)
        if key != self.settings.secret_key and key not in self.settings.personal_keys:
            return fault_answer(401)
        if request.query_params.get("token") != self.settings.project_key:
            return fault_answer(401)
        if not self.limits.definitions():
            raise too_many()
        body, etag = self.store.definitions()
        headers = {"ETag": etag, "Cache-Control": "private, must-revalidate"}
        if request.headers.get("if-none-match") == etag:
            self.hits["not_modified"] += 1
            return Response(status_code=304, headers=headers)
        return JSONResponse(body, headers=headers)

    async def evaluate(self, request: Request) -> Response:
        """Evaluate the flags for one person, from the same cache as the definitions."""
        self.hits["flags"] += 1
        body = await _sdk_body(request)
        if body.get("token", body.get("api_key")) != self.settings.project_key:
            return fault_answer(401)
        if not self.limits.flags():
            raise too_many()
        distinct_id = body.get("distinct_id")
        if not isinstance(distinct_id, str) or not distinct_id:
            detail = "The distinct_id field is missing from the request."
            raise Problem(400, "validation_error", "missing_distinct_id", detail, "distinct_id")
        wanted = body.get("flag_keys_to_evaluate") or body.get("flag_keys")
        person = body.get("person_properties") or {}
        typed = int(request.query_params.get("v", "2")) >= 4
        answers = {
            flag["key"]: evaluated(flag, evaluate(flag, distinct_id, person), typed=typed)
            for flag in self.store.definitions()[0]["flags"]
            if not wanted or flag["key"] in wanted
        }
        return JSONResponse(
            {
                "flags": answers,
                "errorsWhileComputingFlags": False,
                "quotaLimited": None,
                "requestId": str(uuid.uuid4()),
            }
        )

    async def capture(self, request: Request) -> Response:
        """Take events."""
        self.hits["batch"] += 1
        body = await _sdk_body(request)
        if body.get("api_key", body.get("token")) != self.settings.project_key:
            return fault_answer(401)
        self.events.extend(body.get("batch", []))
        del self.events[:-KEPT_EVENTS]
        return JSONResponse({"status": "Ok"})

    async def fault(self, request: Request) -> Response:
        """Control: order a fault, or how the cache, the limits and old flags are.

        ``{"lag": SECONDS}``; ``{"skip_rebuilds": N}``: the next N changes are not shown by
        themselves; ``{"limits": {…}}``: on, with other numbers than PostHog's, ``null``: off;
        ``{"age": FLAG_ID}``: a flag from before flags had versions.
        """
        body = await json_object(request)
        match body:
            case {"lag": float() | int() as lag}:
                self.store.lag = float(lag)
            case {"skip_rebuilds": int() as skipped}:
                self.store.skip_rebuilds = skipped
            case {"limits": None}:
                self.limits.set(None)
            case {"limits": {**numbers}}:
                self.limits.order({str(name): number for name, number in numbers.items()})
            case {"age": int() as flag_id} if flag_id in self.store.flags:
                self.store.age(self.store.flags[flag_id])
            case _:
                return await order_fault(self.faults, body)
        return JSONResponse(body)

    async def not_found(self, request: Request, _: Exception) -> Response:
        """Answer as Django does for a path it has no view for, and keep it to be looked at."""
        self.unknown.append(request.url.path)
        del self.unknown[:-KEPT_EVENTS]
        return Response("Not found", 404)

    async def state(self, _: Request) -> Response:
        """Control: everything recorded."""
        cached, etag = self.store.definitions()
        return JSONResponse(
            {
                "lag": self.store.lag,
                "flags": [flag_body(flag) for flag in self.store.flags.values()],
                "cached": {"etag": etag, "flags": cached["flags"]},
                "activity": self.store.activity,
                "annotations": self.annotations,
                "events": self.events,
                "hits": self.hits,
                "unknown": self.unknown,
                "faults": self.faults.active(),
            }
        )

    def _user(self, request: Request) -> User:
        key = _bearer(request)
        if key is None:
            detail = "Authentication credentials were not provided."
            raise Problem(401, "authentication_error", "not_authenticated", detail)
        user = self.settings.personal_keys.get(key)
        if user is None:
            detail = "Personal API key found in request Authorization header is invalid."
            raise Problem(401, "authentication_error", "authentication_failed", detail)
        if wait := self.limits.rest(str(key)):
            raise throttled(wait)
        if request.path_params["project"] not in (str(self.settings.project), "@current"):
            detail = "You don't have access to the project."
            raise Problem(403, "authentication_error", "permission_denied", detail)
        return user

    def _check_scope(self, user: User) -> None:
        if not user.writes:
            detail = "API key missing required scope 'feature_flag:write'"
            raise Problem(403, "authentication_error", "permission_denied", detail)


def _bearer(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" and key else None


async def _sdk_body(request: Request) -> dict[str, Any]:
    """Read what an SDK sends; it may be gzipped."""
    if request.headers.get("content-encoding") != "gzip":
        return await json_object(request)
    try:
        body = json.loads(gzip.decompress(await request.body()))
    except (OSError, EOFError, ValueError) as error:
        raise BadRequestBody(f"not gzipped JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestBody("a JSON object is expected")
    return body
