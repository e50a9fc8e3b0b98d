"""The answers that a gate asks for: attestations, checks of a commit, and who approved.

PyGithub knows neither attestations nor approvals of runs. Their shapes are those of GitHub's
OpenAPI description: `list-attestations`, `environment-approvals`.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.github.answers import CREATED, REPOSITORY_ID, Shapes
from sandbox.github.attested import Attestation, Attested
from sandbox.github.paging import linked, paged, size_of
from sandbox.github.trust import ACTIONS, Check, Trust
from sandbox.serving import BadRequestBody, json_object

BLOBS = "/storage/blobs/{name}"
"""Where bundles lie. Not below the API: whoever has an address needs no token."""


class Proofs:
    """Answers from what is kept."""

    def __init__(self, attested: Attested, trust: Trust) -> None:
        self._attested = attested
        self._trust = trust

    async def attestations(self, request: Request, shapes: Shapes) -> Response:
        """List the attestations of a digest, newest first; one without any is 404."""
        digest = unquote(request.path_params["digest"])
        found = self._attested.of(digest, request.query_params.get("predicate_type"))
        if not found:
            return JSONResponse({"message": "Not Found", "status": "404"}, 404)
        size, query = size_of(request), request.query_params
        start = _place(query.get("after", ""))
        if "before" in query:
            start = max(0, _place(query["before"]) - size)
        goals = {}
        if start + size < len(found):
            goals["next"] = {"after": _cursor(start + size)}
        if start > 0:
            goals["prev"] = {"before": _cursor(start)}
        shown = [_attestation(one, shapes) for one in found[start : start + size]]
        return JSONResponse({"attestations": shown}, headers=linked(request, goals))

    async def blob(self, request: Request) -> Response:
        """Serve a bundle to whoever has its address, and to nobody who shows a token."""
        if "authorization" in request.headers:
            # As Azure's storage does: its address is signed, and a token is of somebody else.
            return Response("InvalidAuthenticationInfo", 400)
        for one in self._attested.all:
            if one.name == request.path_params["name"]:
                if not secrets.compare_digest(one.key, request.query_params.get("sig", "")):
                    return Response("AuthenticationFailed", 403)
                return Response(one.blob, media_type="application/x-snappy")
        return Response("BlobNotFound", 404)

    def check_runs(self, request: Request, sha: str, shapes: Shapes) -> Response:
        """List the check runs of a commit, newest first: of each app's name the newest."""
        query = request.query_params
        runs = list(enumerate(self._trust.checked(sha), 1))
        if query.get("filter", "latest") == "latest":
            newest = {(run.name, run.app): number for number, run in runs}
            runs = [(number, run) for number, run in runs if number in newest.values()]
        found = [
            _check_run(number, run, sha, shapes)
            for number, run in reversed(runs)
            if query.get("check_name", run.name) == run.name
            and query.get("status", run.status) == run.status
            and query.get("app_id", str(run.app)) == str(run.app)
        ]
        return paged(request, found, "check_runs")

    def reviews(self, request: Request, pull: int, sha: str, shapes: Shapes) -> Response:
        """List the reviews of a pull request, oldest first."""
        listed = enumerate(self._trust.reviews.get(pull, []), 1)
        return paged(request, [_review(n, pull, one, sha, shapes) for n, one in listed])

    async def approvals(self, request: Request, shapes: Shapes) -> Response:
        """List who has said what of the environments that a run has waited for."""
        said = self._trust.approvals.get(request.path_params["id"], [])
        return JSONResponse(
            [
                {
                    "state": one["state"],
                    "comment": "",
                    "user": shapes.person(one["login"]),
                    "environments": [_environment(one["environment"], shapes)],
                }
                for one in said
            ]
        )


def ordering(
    order: Callable[[Mapping[str, Any]], object],
) -> Callable[[Request], Awaitable[Response]]:
    """Return the control that carries out one kind of order."""

    async def control(request: Request) -> Response:
        try:
            order(await json_object(request))
        except (BadRequestBody, KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"not an order: {error!r}"}, 400)
        return JSONResponse({})

    return control


def _attestation(one: Attestation, shapes: Shapes) -> dict[str, Any]:
    at = f"{shapes.elsewhere}/blobs/{one.name}?sig={quote(one.key)}"
    return {
        "bundle": one.bundle if one.inline else None,
        "repository_id": REPOSITORY_ID,
        "bundle_url": "" if one.inline else at,
        "initiator": one.initiator,
    }


def _check_run(number: int, run: Check, sha: str, shapes: Shapes) -> dict[str, Any]:
    """Return a ``check-run``."""
    url = f"{shapes.api}/check-runs/{number}"
    html = f"{shapes.base}/{shapes.owner}/{shapes.name}/runs/{number}"
    done = run.status == "completed"
    return {
        "id": number,
        "node_id": f"CR_{number}",
        "head_sha": sha,
        "external_id": "",
        "url": url,
        "html_url": html,
        "details_url": html,
        "status": run.status,
        "conclusion": run.conclusion if done else None,
        "started_at": CREATED,
        "completed_at": CREATED if done else None,
        "output": {
            "title": None,
            "summary": None,
            "text": None,
            "annotations_count": 0,
            "annotations_url": f"{url}/annotations",
        },
        "name": run.name,
        "check_suite": {"id": 500 + number},
        "app": _app(run.app, shapes),
        "pull_requests": [],
    }


def _app(number: int, shapes: Shapes) -> dict[str, Any]:
    name, slug = ("GitHub Actions", "github-actions") if number == ACTIONS else ("Other", "other")
    return {
        "id": number,
        "slug": slug,
        "node_id": f"A_{number}",
        "owner": shapes.user("github", 9919, "Organization"),
        "name": name,
        "description": "",
        "external_url": f"{shapes.base}/features/actions",
        "html_url": f"{shapes.base}/apps/{slug}",
        "created_at": CREATED,
        "updated_at": CREATED,
        "permissions": {"checks": "write", "metadata": "read"},
        "events": [],
    }


def _review(
    number: int, pull: int, said: Mapping[str, str], sha: str, shapes: Shapes
) -> dict[str, Any]:
    """Return a ``pull-request-review``."""
    html = f"{shapes.base}/pull/{pull}#pullrequestreview-{number}"
    url = f"{shapes.api}/pulls/{pull}"
    return {
        "id": number,
        "node_id": f"PRR_{number}",
        "user": shapes.person(said["login"]),
        "body": "",
        "state": said["state"],
        "html_url": html,
        "pull_request_url": url,
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "submitted_at": said.get("at", CREATED),
        "commit_id": sha,
        "author_association": "MEMBER",
    }


def _environment(name: str, shapes: Shapes) -> dict[str, Any]:
    whole = shapes.environment(1, name, [])
    left = ("protection_rules", "deployment_branch_policy")
    return {key: value for key, value in whole.items() if key not in left}


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"cursor:{place}".encode()).decode()


def _place(cursor: str) -> int:
    """Return the place that a cursor names, the first for anything else."""
    try:
        name, _, place = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except (binascii.Error, ValueError):
        return 0
    return int(place) if name == "cursor" and place.isdecimal() else 0
