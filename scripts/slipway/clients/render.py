"""Render's API (https://api-docs.render.com), as far as a release needs it."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from slipway.clients.fields import Fields, wrong
from slipway.clients.http import Http, Key
from slipway.clients.render_answers import (
    newest_first,
    parse_deploy,
    parse_event,
    parse_requests,
    parse_service,
)
from slipway.clients.replies import Reply
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import BuildGone, NotOnThisPlan, OutsideError, Refused
from slipway.ports import (
    Artifact,
    Deploy,
    DeployStatus,
    Event,
    Instance,
    Platform,
    Requests,
    Service,
)

API: Final = "https://api.render.com/v1"
PAGE: Final = 100
"""Render's largest page."""
MAX_PAGES: Final = 50
"""Pages read at most in one listing: 5,000 deploys."""
_CONFLICT: Final = 409
_BAD_REQUEST: Final = 400
_NOT_KEPT: Final = frozenset({_BAD_REQUEST, 404, 410})
"""What a rollback to a build that is gone may be answered: Render does not document it."""
_FINGERPRINTS: Final = secrets.token_bytes(32)
"""Of this process: a fingerprint that is printed by mistake tells nobody the value."""


class Render(Platform):
    """One Render account. Errors: see :class:`slipway.clients.http.Http`."""

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = API,
        setting: str = "render-api-key",
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        key = Key(
            value=api_key,
            setting=setting,
            renew="A new key is made in Render under Account Settings, API Keys.",
        )
        self._http = Http("Render", base_url, key, patience=patience, notice=notice, sleep=sleep)

    def service(self, service_id: str) -> Service:
        """Read a service."""
        return parse_service(self._http.get(_path(service_id)).object())

    def deploys(self, service_id: str, *, limit: int = 20) -> Sequence[Deploy]:
        """Return the latest ``limit`` deploys, newest first.

        Render does not promise an order. A page that is not newest first is taken as a sign that
        the newest may be on a later one, and reading goes on to the end.
        """
        size = min(PAGE, max(1, limit))
        found: list[Deploy] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params: dict[str, str | int] = {"limit": size}
            if cursor:
                params["cursor"] = cursor
            items = self._http.get(_path(service_id, "deploys"), params=params).objects()
            found.extend(parse_deploy(item.child("deploy")) for item in items)
            if len(items) < size or (len(found) >= limit and newest_first(found)):
                break
            cursor = items[-1].text("cursor")
        else:
            raise wrong(f"Render, deploys of {service_id}", f"no end after {MAX_PAGES} pages")
        unique = {deploy.id: deploy for deploy in found}
        return sorted(unique.values(), key=lambda deploy: deploy.created_at, reverse=True)[:limit]

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """Read one deploy."""
        return parse_deploy(self._http.get(_path(service_id, "deploys", deploy_id)).object())

    def start_deploy(self, service_id: str, artifact: Artifact) -> Deploy | None:
        """Ask for a deploy of exactly this artifact.

        ``None``: another deploy is running and this one is queued (202, no body). Raises
        :class:`Refused` when the state of the service forbids it (409: suspended).
        """
        name = "imageUrl" if artifact.kind == "image" else "commitId"
        reply = self._change(
            service_id, "deploys", {name: artifact.reference}, f"deploy {artifact.identity}"
        )
        return None if reply.status == 202 else parse_deploy(reply.object())

    def roll_back(self, service_id: str, deploy_id: str) -> Deploy:
        """Redeploy the build of an earlier deploy, with the environment values it had then.

        Raises :class:`Refused` when the state of the service forbids it (409), and
        :class:`BuildGone` where Render has nothing to go back to (400, 404, 410).
        """
        reply = self._change(
            service_id,
            "rollback",
            {"deployId": deploy_id},
            f"go back to {deploy_id}",
            accept=_NOT_KEPT,
        )
        if reply.status in _NOT_KEPT:
            raise BuildGone(
                f"{reply.where}: {reply.status}, {reply.said.rstrip('.') or 'without a reason'}. "
                f"Render does not roll back to {deploy_id}",
                remedy="Render keeps a number of recent builds that depends on the plan. Deploy "
                "the commit anew, or go back to a younger deploy.",
            )
        return parse_deploy(reply.object())

    def cancel_deploy(self, service_id: str, deploy_id: str) -> None:
        """Cancel a running deploy. Not an error when it has already ended."""
        reply = self._http.post(
            _path(service_id, "deploys", deploy_id, "cancel"),
            accept=frozenset({400, 404, _CONFLICT, 410}),
        )
        if reply.status < 300:
            return
        # Which status says "already ended" is not documented; the deploy itself is.
        deploy = self.deploy(service_id, deploy_id)
        if deploy.status.running or deploy.status is DeployStatus.UNKNOWN:
            raise OutsideError(
                f"{reply.where}: {reply.status}, {reply.said}. {deploy_id} is still "
                f"{deploy.raw_status or 'without a status'}",
                remedy="Cancel the deploy in Render's dashboard.",
            )

    def instances(self, service_id: str) -> Sequence[Instance]:
        """Return the running instances."""
        return [
            Instance(id=item.text("id"), created_at=item.time("createdAt"))
            for item in self._http.get(_path(service_id, "instances")).objects()
        ]

    def scale(self, service_id: str, instances: int) -> None:
        """Set the instance count. Render accepts and ignores it while autoscaling is on."""
        self._http.post(_path(service_id, "scale"), {"numInstances": instances})

    def disable_auto_deploy(self, service_id: str) -> None:
        """Stop Render from deploying new commits by itself, and see that it is so."""
        # The text "no": Render's schema has no boolean here.
        reply = self._http.patch(_path(service_id), {"autoDeploy": "no"})
        if parse_service(reply.object()).auto_deploy:
            raise OutsideError(
                f"{reply.where}: auto-deploy is still on",
                remedy="Turn Auto-Deploy off in the settings of the service in Render.",
            )

    def env_vars(self, service_id: str) -> Mapping[str, str]:
        """Return a fingerprint of each variable's value, keyed anew for each process.

        A value that Render does not show is not an empty one: :class:`OutsideError`.
        """
        found: dict[str, str] = {}
        for item in self._pages(service_id, "env-vars", secret=True):
            variable = item.child("envVar")
            value = variable.text_or_none("value")
            if value is None:
                raise variable.bad("value", "text")
            found[variable.text("key")] = _fingerprint(value)
        return found

    def events(self, service_id: str, *, since: datetime) -> Sequence[Event]:
        """Return what happened since then, oldest first."""
        params = {"startTime": since.astimezone(UTC).isoformat()}
        found = [
            parse_event(item.child("event")) for item in self._pages(service_id, "events", params)
        ]
        return sorted(found, key=lambda event: event.at)

    def requests(self, service_id: str, *, since: datetime, until: datetime) -> Requests | None:
        """Return requests and 5xx answers of a time, as Render's metrics have them."""
        reply = self._http.get(
            "/metrics/http-requests",
            params={
                "resource": service_id,
                "startTime": since.astimezone(UTC).isoformat(),
                "endTime": until.astimezone(UTC).isoformat(),
                "resolutionSeconds": 30,
                "aggregateBy": "statusCode",
            },
            accept=frozenset({_BAD_REQUEST}),
        )
        if reply.status == _BAD_REQUEST:
            raise NotOnThisPlan(
                f"{reply.where}: 400, {reply.said}",
                remedy="Render's metrics by status code may need a larger plan.",
            )
        return parse_requests(reply.objects())

    def _pages(
        self,
        service_id: str,
        what: str,
        params: Mapping[str, str] | None = None,
        *,
        secret: bool = False,
    ) -> Iterator[Fields]:
        """Yield the items of a listing, page after page."""
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            asked: dict[str, str | int] = {"limit": PAGE, **(params or {})}
            if cursor:
                asked["cursor"] = cursor
            reply = self._http.get(_path(service_id, what), params=asked, secret=secret)
            items = reply.objects()
            yield from items
            if len(items) < PAGE:
                return
            cursor = items[-1].text("cursor")
        raise wrong(f"Render, {what} of {service_id}", f"no end after {MAX_PAGES} pages")

    def _change(
        self,
        service_id: str,
        verb: str,
        body: dict[str, str],
        aim: str,
        *,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        reply = self._http.post(_path(service_id, verb), body, accept=accept | {_CONFLICT})
        if reply.status == _CONFLICT:
            raise Refused(
                f"{reply.where}: Render refuses to {aim} ({reply.said or 'state conflict'})",
                remedy="If the service is suspended, resume it in Render's dashboard; then run "
                "again.",
            )
        return reply


def _path(service_id: str, *parts: str) -> str:
    return "/services/" + "/".join(quote(part, safe="") for part in (service_id, *parts))


def _fingerprint(value: str) -> str:
    return hmac.digest(_FINGERPRINTS, value.encode(), "sha256").hex()
