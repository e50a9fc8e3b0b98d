"""Render's API (https://api-docs.render.com), as far as a release needs it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from slipway.clients.fields import Fields, wrong
from slipway.clients.http import Http, Key
from slipway.clients.replies import Reply
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import OutsideError, Refused
from slipway.ports import Artifact, Deploy, DeployStatus, Instance, Platform, Service

API: Final = "https://api.render.com/v1"
PAGE: Final = 100
"""Render's largest page."""
MAX_PAGES: Final = 50
"""Pages read at most in one listing: 5,000 deploys."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_YES: Final = {"yes": True, "no": False}
_SUSPENDED: Final = {"suspended": True, "not_suspended": False}
_CONFLICT: Final = 409
_WITHOUT_INSTANCES: Final = frozenset({"static_site", "cron_job"})


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
            if len(items) < size or (len(found) >= limit and _newest_first(found)):
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

        Raises :class:`Refused` when the state of the service forbids it (409).
        """
        reply = self._change(
            service_id, "rollback", {"deployId": deploy_id}, f"go back to {deploy_id}"
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

    def _change(self, service_id: str, verb: str, body: dict[str, str], aim: str) -> Reply:
        reply = self._http.post(_path(service_id, verb), body, accept=frozenset({_CONFLICT}))
        if reply.status == _CONFLICT:
            raise Refused(
                f"{reply.where}: Render refuses to {aim} ({reply.said or 'state conflict'})",
                remedy="If the service is suspended, resume it in Render's dashboard; then run "
                "again.",
            )
        return reply


def parse_service(fields: Fields) -> Service:
    """Read a service. Raises :class:`OutsideError` when a field is missing or mistyped."""
    kind = fields.text("type")
    details = fields.child("serviceDetails")
    image_path = fields.text_or_none("imagePath") or None
    return Service(
        id=fields.text("id"),
        name=fields.text("name"),
        type=kind,
        image_backed=image_path is not None or details.text_or_none("runtime") == "image",
        suspended=fields.choice("suspended", _SUSPENDED),
        auto_deploy=_auto_deploy(fields),
        url=details.text_or_none("url") or None,
        # A static site is files on an edge network, a cron job runs and ends.
        instances=0 if kind in _WITHOUT_INSTANCES else details.integer("numInstances"),
        image_path=image_path,
        branch=fields.text_or_none("branch") or None,
        health_path=details.text_or_none("healthCheckPath") or None,
        dashboard_url=fields.text_or_none("dashboardUrl") or None,
    )


def parse_deploy(fields: Fields) -> Deploy:
    """Read a deploy. Raises :class:`OutsideError` when a field is missing or mistyped."""
    raw_status = fields.text_or_none("status") or ""
    identity, reference = _build(fields)
    return Deploy(
        id=fields.text("id"),
        status=_status(raw_status),
        raw_status=raw_status,
        identity=identity,
        reference=reference,
        trigger=fields.text_or_none("trigger"),
        created_at=fields.time("createdAt"),
        finished_at=fields.time_or_none("finishedAt"),
    )


def _status(raw: str) -> DeployStatus:
    try:
        return DeployStatus(raw)
    except ValueError:
        return DeployStatus.UNKNOWN


def _build(fields: Fields) -> tuple[str | None, str | None]:
    """Return identity and reference; ``None`` for what Render does not say (yet)."""
    image = fields.child_or_none("image")
    if image is not None:
        ref = image.text_or_none("ref") or ""
        sha = image.text_or_none("sha") or ""
        name, _, pinned = ref.partition("@")
        # What was asked for by digest is that digest; `sha` may be the platform's part of it.
        digest = next((found for found in (pinned, sha) if _DIGEST.fullmatch(found)), None)
        if digest is None:
            return None, None
        return digest, f"{_without_tag(name)}@{digest}" if name else None
    commit = fields.child_or_none("commit")
    found = None if commit is None else commit.text_or_none("id") or None
    return found, found


def _without_tag(name: str) -> str:
    """Drop the tag of an image name; a colon before the last slash is the registry's port."""
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def _auto_deploy(fields: Fields) -> bool:
    """True if either of the two fields, the older and the newer, says so."""
    trigger = fields.text_or_none("autoDeployTrigger")
    return fields.choice("autoDeploy", _YES) or trigger not in (None, "", "off")


def _newest_first(deploys: Sequence[Deploy]) -> bool:
    times: list[Any] = [deploy.created_at for deploy in deploys]
    return times == sorted(times, reverse=True)


def _path(service_id: str, *parts: str) -> str:
    return "/services/" + "/".join(quote(part, safe="") for part in (service_id, *parts))
