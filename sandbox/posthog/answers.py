"""The shapes of PostHog's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.posthog.evaluate import Verdict
from sandbox.posthog.store import Flag, Rejected, User, timestamp, user_basic

PAGE = 100
RETRY_AFTER = "1"


class Problem(Exception):
    """An answer in the shape of Django REST framework, as PostHog gives them."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        detail: str,
        attr: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.body = {"type": kind, "code": code, "detail": detail, "attr": attr}


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer a :class:`Problem`."""
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class only
    return JSONResponse(error.body, error.status, error.headers)


def fault_answer(status: int) -> Response:
    """Return the body PostHog gives with ``status``."""
    kinds = {
        401: ("authentication_error", "authentication_failed", "Incorrect authentication."),
        402: ("quota_limited", "payment_required", "Feature flags quota limited."),
        403: ("authentication_error", "permission_denied", "You lack permission for this action."),
        429: ("throttled_error", "throttled", "Request was throttled. Expected available soon."),
    }
    kind, code, detail = kinds.get(status, ("server_error", "error", "A server error occurred."))
    body = {"type": kind, "code": code, "detail": detail, "attr": None}
    return JSONResponse(body, status, {"Retry-After": RETRY_AFTER} if status == 429 else None)


def throttled(wait: float) -> Problem:
    """Return what the REST API says when ``wait`` more seconds are to pass."""
    seconds = math.ceil(wait)
    detail = f"Request was throttled. Expected available in {seconds} seconds."
    headers = {"Retry-After": str(seconds)}
    return Problem(429, "throttled_error", "throttled", detail, headers=headers)


def too_many() -> Problem:
    """Return what the SDKs' endpoints say. They do not say how long to wait."""
    return Problem(429, "validation_error", "rate_limit_exceeded", "Rate limit exceeded")


def refusal(error: Rejected) -> Problem:
    """Return the answer to a refused field."""
    return Problem(400, "validation_error", error.code, str(error), error.attr)


async def on_bad_body(_: Request, error: Exception) -> Response:
    """Answer a body that is not a JSON object."""
    body = {"type": "validation_error", "code": "parse_error", "detail": str(error), "attr": None}
    return JSONResponse(body, 400)


def flag_body(flag: Flag) -> dict[str, Any]:
    """Return a flag as the REST API writes it."""
    groups = flag.filters["groups"]
    simple = len(groups) == 1 and not groups[0]["properties"]
    return {
        "id": flag.id,
        "name": flag.name,
        "key": flag.key,
        "filters": flag.filters,
        "deleted": flag.deleted,
        "active": flag.active,
        "created_by": user_basic(flag.created_by),
        "created_at": flag.created_at,
        "updated_at": flag.updated_at,
        "version": flag.version,
        "last_modified_by": user_basic(flag.last_modified_by),
        "is_simple_flag": simple,
        "rollout_percentage": groups[0].get("rollout_percentage") if simple else None,
        "ensure_experience_continuity": flag.ensure_experience_continuity,
        "experiment_set": [],
        "surveys": {},
        "features": {},
        "rollback_conditions": None,
        "performed_rollback": False,
        "can_edit": True,
        "tags": flag.tags,
        "usage_dashboard": flag.id,  # PostHog makes one for every flag
        "analytics_dashboards": [],
        "has_enriched_analytics": False,
        "user_access_level": "editor",
        "is_remote_configuration": False,
        "has_encrypted_payloads": False,
        "status": "DELETED" if flag.deleted else "ACTIVE",
        "evaluation_runtime": flag.evaluation_runtime,
        "last_called_at": None,
    }


def annotation_body(number: int, body: Mapping[str, Any], user: User) -> dict[str, Any]:
    """Return a new annotation."""
    now = timestamp()
    return {
        "id": number,
        "content": body.get("content"),
        "date_marker": body.get("date_marker"),
        "creation_type": body.get("creation_type", "USR"),
        "dashboard_item": None,
        "dashboard_id": None,
        "dashboard_name": None,
        "insight_short_id": None,
        "insight_name": None,
        "insight_derived_name": None,
        "created_by": user_basic(user),
        "created_at": now,
        "updated_at": now,
        "deleted": False,
        "scope": body.get("scope", "dashboard_item"),
    }


def query_body(row: list[int]) -> dict[str, Any]:
    """Return the answer to a query that gives one row of counts."""
    return {
        "results": [row],
        "columns": [f"n{number}" for number in range(len(row))],
        "types": [[f"n{number}", "UInt64"] for number in range(len(row))],
        "error": None,
        "hasMore": False,
        "limit": 100,
        "offset": 0,
    }


def page(request: Request, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one page of ``items``, with links to its neighbours."""
    try:
        limit = max(1, int(request.query_params.get("limit", PAGE)))
        offset = max(0, int(request.query_params.get("offset", 0)))
    except ValueError:
        limit, offset = PAGE, 0

    def link(to: int) -> str:
        query = {**request.query_params, "limit": limit, "offset": to}
        return f"{request.url.replace(query='')}?{urlencode(query)}"

    return {
        "count": len(items),
        "next": link(offset + limit) if offset + limit < len(items) else None,
        "previous": link(max(0, offset - limit)) if offset else None,
        "results": items[offset : offset + limit],
    }


def evaluated(flag: Mapping[str, Any], verdict: Verdict, *, typed: bool) -> dict[str, Any]:
    """Return one flag of an answer: ``value`` from version 4 on, ``enabled``/``variant`` before."""
    variant = verdict.value if isinstance(verdict.value, str) else None
    payloads = flag["filters"].get("payloads") or {}
    metadata = {
        "id": flag["id"],
        "version": flag["version"],
        "description": flag["name"],
        "payload": payloads.get(variant or "true") if verdict.value else None,
    }
    answer: dict[str, Any] = {
        "key": flag["key"],
        "reason": {
            "code": verdict.reason,
            "condition_index": verdict.condition,
            "description": verdict.reason.replace("_", " ").capitalize(),
        },
        "metadata": metadata,
    }
    if typed:
        metadata["config_version"] = 1
        return {**answer, "value": verdict.value, "failed": False}
    return {**answer, "enabled": bool(verdict.value), "variant": variant}
