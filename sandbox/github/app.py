"""The HTTP side of the GitHub sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.github.answers import Shapes
from sandbox.github.commits import branch, commit, comparison
from sandbox.github.history import History, NoCommonAncestor
from sandbox.github.page import pull_page
from sandbox.github.paging import links, number, paged
from sandbox.github.proofs import BLOBS, Proofs, ordering
from sandbox.github.store import Comment, Conflict, Deployment, Invalid, Pull, Store
from sandbox.serving import (
    BadRequestBody,
    FaultMiddleware,
    Faults,
    json_object,
    order_fault,
)

MAX_COMPARED = 250
"""Commits of a comparison on one page."""
_DOCS = "https://docs.github.com/rest"
_MESSAGES = {
    401: "Bad credentials",
    403: "Resource not accessible by integration",
    404: "Not Found",
    429: "You have exceeded a secondary rate limit. Please wait a few minutes.",
    502: "Server Error",
}
_T = TypeVar("_T")
Handler = Callable[[Request, Shapes], Awaitable[Response]]


def problem(
    status: int, message: str | None = None, errors: list[dict[str, Any]] | None = None
) -> Response:
    """Return one of GitHub's error bodies."""
    body: dict[str, Any] = {
        "message": message or _MESSAGES.get(status, "Server Error"),
        "documentation_url": _DOCS,
        "status": str(status),
    }
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, {"Retry-After": "1"} if status == 429 else None)


class _Missing(Exception):
    """No such thing: 404."""


class GitHub:
    """The endpoints of one repository, ``owner/name``, for one token."""

    def __init__(
        self, repository: str, token: str, store: Store, history: History | None = None
    ) -> None:
        """``history``: how commits are compared; without it none is known to ``compare``."""
        self.repository = repository
        self.store = store
        self.history = history
        self.faults = Faults()
        self.proofs = Proofs(store.attested, store.trust)
        self.orders = {"attestations": store.attested.add, **store.trust.orders}
        self._token = token

    def app(self) -> ASGIApp:
        """Return the ASGI application."""
        repo = "/repos/{owner}/{repo}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", repo, self.get_repository),
            ("GET", f"{repo}/deployments", self.list_deployments),
            ("POST", f"{repo}/deployments", self.create_deployment),
            ("GET", f"{repo}/deployments/{{id:int}}", self.get_deployment),
            ("GET", f"{repo}/deployments/{{id:int}}/statuses", self.list_statuses),
            ("POST", f"{repo}/deployments/{{id:int}}/statuses", self.create_status),
            ("GET", f"{repo}/commits/{{ref}}", self.get_commit),
            ("GET", f"{repo}/commits/{{ref}}/pulls", self.list_pulls_of_commit),
            ("GET", f"{repo}/commits/{{ref}}/check-runs", self.list_check_runs),
            ("GET", f"{repo}/branches/{{name:path}}", self.get_branch),
            ("GET", f"{repo}/rules/branches/{{name:path}}", self.list_rules),
            ("GET", f"{repo}/attestations/{{digest}}", self.proofs.attestations),
            ("GET", f"{repo}/actions/runs/{{id:int}}/approvals", self.proofs.approvals),
            ("GET", f"{repo}/compare/{{basehead:path}}", self.compare),
            ("GET", f"{repo}/environments", self.list_environments),
            ("GET", f"{repo}/pulls/{{number:int}}", self.get_pull),
            ("GET", f"{repo}/pulls/{{number:int}}/commits", self.list_commits),
            ("GET", f"{repo}/pulls/{{number:int}}/reviews", self.list_reviews),
            ("GET", f"{repo}/issues/{{number:int}}", self.get_issue),
            ("GET", f"{repo}/issues/{{number:int}}/comments", self.list_comments),
            ("POST", f"{repo}/issues/{{number:int}}/comments", self.create_comment),
            ("GET", f"{repo}/issues/comments/{{id:int}}", self.get_comment),
            ("PATCH", f"{repo}/issues/comments/{{id:int}}", self.edit_comment),
            ("DELETE", f"{repo}/issues/comments/{{id:int}}", self.delete_comment),
            ("POST", f"{repo}/dispatches", self.dispatch),
        ]
        routes = [Route(path, self._guarded(call), methods=[verb]) for verb, path, call in table]
        routes += [
            # What GitHub tells a workflow's own token that asks who it is.
            Route("/user", lambda _: problem(403)),
            Route("/pull/{number:int}", self.page),
            Route(BLOBS, self.proofs.blob),
            *(
                Route(f"/_sandbox/{name}", ordering(order), methods=["POST"])
                for name, order in self.orders.items()
            ),
            Route("/_sandbox/pulls", self.add_pull, methods=["POST"]),
            Route("/_sandbox/environments", self.set_environments, methods=["POST"]),
            Route("/_sandbox/fault", self.fault, methods=["POST"]),
            Route("/_sandbox/state", self.state),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(FaultMiddleware, faults=self.faults, answer=problem)],
            exception_handlers={404: _not_found, 405: _not_found},
        )

    def _guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            refusal = self._refusal(request)
            if refusal is not None:
                return refusal
            try:
                return await handler(request, self._shapes(request))
            except _Missing:
                return problem(404)
            except BadRequestBody:
                return problem(400, "Problems parsing JSON")
            except Invalid as error:
                return problem(422, str(error), error.errors)
            except Conflict as error:
                return problem(409, str(error))

        return answer

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme and (scheme.lower() not in ("token", "bearer") or token != self._token):
            return problem(401)
        asked = f"{request.path_params['owner']}/{request.path_params['repo']}"
        # A private repository does not exist for those who may not see it.
        if not scheme or asked.lower() != self.repository.lower():
            return problem(404)
        return None

    def _shapes(self, request: Request) -> Shapes:
        return Shapes(str(request.base_url).rstrip("/"), self.repository, self.store)

    async def get_repository(self, _: Request, shapes: Shapes) -> Response:
        """Return the repository."""
        return JSONResponse(shapes.repository())

    async def list_deployments(self, request: Request, shapes: Shapes) -> Response:
        """List deployments, newest first, by sha, ref, task and environment."""
        wanted = {
            name: request.query_params[name]
            for name in ("sha", "ref", "task", "environment")
            if request.query_params.get(name, "none") != "none"
        }
        found = [
            shapes.deployment(deployment)
            for deployment in reversed(self.store.deployments.values())
            if all(getattr(deployment, name) == value for name, value in wanted.items())
        ]
        return paged(request, found)

    async def create_deployment(self, request: Request, shapes: Shapes) -> Response:
        """Create a deployment."""
        created = self.store.add_deployment(await json_object(request))
        return JSONResponse(shapes.deployment(created), 201)

    async def get_deployment(self, request: Request, shapes: Shapes) -> Response:
        """Return a deployment."""
        return JSONResponse(shapes.deployment(self._deployment(request)))

    async def list_statuses(self, request: Request, shapes: Shapes) -> Response:
        """List the statuses of a deployment, newest first."""
        deployment = self._deployment(request)
        found = [shapes.status(deployment, status) for status in reversed(deployment.statuses)]
        return paged(request, found)

    async def create_status(self, request: Request, shapes: Shapes) -> Response:
        """Add a status to a deployment."""
        deployment = self._deployment(request)
        status = self.store.add_status(deployment, await json_object(request))
        return JSONResponse(shapes.status(deployment, status), 201)

    async def get_commit(self, request: Request, shapes: Shapes) -> Response:
        """Return a commit."""
        sha = self._commit(request)
        return JSONResponse(commit(shapes, sha, shapes.signed(sha)))

    async def list_check_runs(self, request: Request, shapes: Shapes) -> Response:
        """List the check runs of a commit."""
        return self.proofs.check_runs(request, self._commit(request), shapes)

    async def get_branch(self, request: Request, shapes: Shapes) -> Response:
        """Return a branch: the default one, or one that was ordered."""
        name, trust = request.path_params["name"], self.store.trust
        if name != self.store.default_branch and name not in trust.protected:
            return problem(404, "Branch not found")
        known = await run_in_threadpool(self.history.commit, name) if self.history else None
        sha = known or _found(self.store.commit(self.store.default_branch))
        head = commit(shapes, sha, trust.signed(sha))
        return JSONResponse(branch(shapes, name, head, protected=trust.protected.get(name, True)))

    async def list_rules(self, request: Request, _: Shapes) -> Response:
        """List the rules of rulesets for a branch: there are none here."""
        return paged(request, [])

    async def list_commits(self, request: Request, shapes: Shapes) -> Response:
        """List the commits of a pull request: its head, which is its only one here."""
        head = self._pull(request).head_sha
        return paged(request, [commit(shapes, head, shapes.signed(head))])

    async def list_reviews(self, request: Request, shapes: Shapes) -> Response:
        """List the reviews of a pull request."""
        pull = self._pull(request)
        return self.proofs.reviews(request, pull.number, pull.head_sha, shapes)

    async def list_pulls_of_commit(self, request: Request, shapes: Shapes) -> Response:
        """List the pull requests of a commit."""
        found = [shapes.pull(pull) for pull in self.store.pulls_of(self._commit(request))]
        return paged(request, found)

    async def compare(self, request: Request, shapes: Shapes) -> Response:
        """Compare two commits, ``base...head``; files are on the first page only."""
        base, dots, head = request.path_params["basehead"].partition("...")
        if not (dots and base and head) or self.history is None:
            raise _Missing
        try:
            compared = await run_in_threadpool(self.history.compare, base, head)
        except NoCommonAncestor as error:
            return problem(404, str(error))
        size = min(MAX_COMPARED, number(request, "per_page", MAX_COMPARED))
        page = number(request, "page", 1)
        found = _found(compared)
        more = links(request, page, max(1, -(-len(found.ahead) // size)))
        return JSONResponse(comparison(shapes, found, page, size), headers=more)

    async def list_environments(self, _: Request, shapes: Shapes) -> Response:
        """List the environments."""
        known = self.store.environments.items()
        found = [shapes.environment(n, name, rules) for n, (name, rules) in enumerate(known, 1)]
        return JSONResponse({"total_count": len(found), "environments": found})

    async def get_pull(self, request: Request, shapes: Shapes) -> Response:
        """Return a pull request."""
        return JSONResponse(shapes.pull(self._pull(request)))

    async def get_issue(self, request: Request, shapes: Shapes) -> Response:
        """Return a pull request as the issue that carries its comments."""
        return JSONResponse(shapes.issue(self._pull(request)))

    async def list_comments(self, request: Request, shapes: Shapes) -> Response:
        """List the comments on a pull request, oldest first."""
        number = self._pull(request).number
        comments = [c for c in self.store.comments.values() if c.number == number]
        return paged(request, [shapes.comment(comment) for comment in comments])

    async def create_comment(self, request: Request, shapes: Shapes) -> Response:
        """Comment on a pull request."""
        number = self._pull(request).number
        body = await json_object(request)
        return JSONResponse(shapes.comment(self.store.add_comment(number, body.get("body"))), 201)

    async def get_comment(self, request: Request, shapes: Shapes) -> Response:
        """Return a comment."""
        return JSONResponse(shapes.comment(self._comment(request)))

    async def edit_comment(self, request: Request, shapes: Shapes) -> Response:
        """Replace a comment's body."""
        comment = self._comment(request)
        body = await json_object(request)
        return JSONResponse(shapes.comment(self.store.edit_comment(comment, body.get("body"))))

    async def delete_comment(self, request: Request, _: Shapes) -> Response:
        """Delete a comment."""
        del self.store.comments[self._comment(request).id]
        return Response(status_code=204)

    async def dispatch(self, request: Request, _: Shapes) -> Response:
        """Take a repository dispatch; nothing runs."""
        body = await json_object(request)
        if not isinstance(body.get("event_type"), str):
            raise Invalid('Invalid request.\n\n"event_type" wasn\'t supplied.')
        self.store.dispatches.append(body)
        return Response(status_code=204)

    async def page(self, request: Request) -> Response:
        """Show a pull request to a person."""
        try:
            return HTMLResponse(pull_page(self._pull(request), self.store))
        except _Missing:
            return problem(404)

    async def add_pull(self, request: Request) -> Response:
        """Control: register a pull request."""
        try:
            pull = self.store.add_pull(await json_object(request))
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": f"not a pull request: {error!r}"}, 400)
        return JSONResponse(asdict(pull), 201)

    async def set_environments(self, request: Request) -> Response:
        """Control: replace the environments, names with the types of their rules."""
        body = await json_object(request)
        self.store.environments = {name: list(rules) for name, rules in body.items()}
        return JSONResponse(self.store.environments)

    async def fault(self, request: Request) -> Response:
        """Control: order a fault, or what deployments conflict with."""
        body = await json_object(request)
        if "failing_contexts" in body or "behind" in body:
            self.store.failing_contexts = [str(c) for c in body.get("failing_contexts", [])]
            self.store.behind = bool(body.get("behind", False))
            return JSONResponse({"behind": self.store.behind})
        return await order_fault(self.faults, body)

    async def state(self, _: Request) -> Response:
        """Control: everything recorded."""
        store = self.store
        return JSONResponse(
            {
                "pulls": [asdict(pull) for pull in store.pulls.values()],
                "comments": [asdict(comment) for comment in store.comments.values()],
                "deployments": [asdict(d) | {"state": d.state} for d in store.deployments.values()],
                "dispatches": store.dispatches,
                "failing_contexts": store.failing_contexts,
                "behind": store.behind,
                "faults": self.faults.active(),
            }
        )

    def _commit(self, request: Request) -> str:
        ref = request.path_params["ref"]
        sha = self.store.commit(ref)
        if sha is None:
            raise Invalid(f"No commit found for SHA: {ref}")
        return sha

    def _deployment(self, request: Request) -> Deployment:
        return _found(self.store.deployments.get(request.path_params["id"]))

    def _pull(self, request: Request) -> Pull:
        return _found(self.store.pulls.get(request.path_params["number"]))

    def _comment(self, request: Request) -> Comment:
        return _found(self.store.comments.get(request.path_params["id"]))


def _found(item: _T | None) -> _T:
    if item is None:
        raise _Missing
    return item


async def _not_found(_: Request, __: Exception) -> Response:
    return problem(404)
