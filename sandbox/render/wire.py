"""Render's bodies: what the model looks like on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.render.model import Deploy, Event, Service
from sandbox.render.processes import Instance

OWNER = "tea-00000000000000000000"
_DASHBOARD = "https://dashboard.render.com"


def moment(at: datetime) -> str:
    """Return a time as Render writes it: RFC 3339 with microseconds, UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment_or_none(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


def trigger_details(deploy: Deploy) -> dict[str, Any]:
    """Return ``details.trigger`` of ``deploy_started``."""
    details: dict[str, Any] = {
        "firstBuild": False,
        "envUpdated": False,
        "manual": deploy.trigger in {"api", "manual"},
        "deployedByRender": False,
        "clearCache": False,
        "rollback": deploy.trigger == "rollback",
    }
    if deploy.target is not None:
        details["rollbackTargetDeployId"] = deploy.target
    if deploy.trigger == "new_commit" and deploy.source.commit:
        details["newCommit"] = deploy.source.commit
    return details


def failure_reason(failure: Mapping[str, object]) -> dict[str, Any]:
    """Return ``details.reason`` of ``deploy_ended``."""
    return {"failure": dict(failure)} if failure else {}


def deploy(of: Deploy) -> dict[str, Any]:
    """Return a deploy. ``commit`` is null for images, ``image`` absent for git: as recorded."""
    source = of.source
    body: dict[str, Any] = {"id": of.id, "commit": None}
    if source.commit is not None:
        body["commit"] = {"id": source.commit, "message": source.message}
        if source.committed is not None:
            body["commit"]["createdAt"] = moment(source.committed)
    elif source.image is not None:
        body["image"] = {"ref": source.image}
        if source.sha is not None:
            body["image"]["sha"] = source.sha
    return {
        **body,
        "status": of.shown_as or str(of.status),
        "trigger": of.trigger,
        "createdAt": moment(of.created),
        "updatedAt": moment(of.updated),
        "startedAt": _moment_or_none(of.started),
        "finishedAt": _moment_or_none(of.finished),
    }


def service(of: Service) -> dict[str, Any]:
    """Return a web service."""
    image_backed = of.runtime == "image"
    specific = (
        {"dockerCommand": of.start_command, "dockerContext": "", "dockerfilePath": ""}
        if image_backed
        else {
            "buildCommand": "pip install .",
            "startCommand": of.start_command or f"serve {of.app}",
        }
    )
    details: dict[str, Any] = {
        "buildPlan": "starter",
        "env": of.runtime,
        "envSpecificDetails": specific,
        "healthCheckPath": of.health_path,
        "maintenanceMode": {"enabled": of.maintenance, "uri": of.maintenance_uri},
        "maxShutdownDelaySeconds": of.shutdown_delay,
        "numInstances": of.num_instances,
        "openPorts": [{"port": 10000, "protocol": "TCP"}],
        "plan": of.plan,
        "previews": {"generation": "off"},
        "region": of.region,
        "runtime": of.runtime,
        "url": of.url,
    }
    if of.autoscaling is not None:
        details["autoscaling"] = dict(of.autoscaling)
    if of.disk:
        details["disk"] = {
            "id": f"dsk-{of.id.removeprefix('srv-')}",
            "name": "data",
            "sizeGB": 1,
            "mountPath": "/data",
        }
    where = (
        {"imagePath": of.image}
        if image_backed
        else {"repo": f"https://github.com/livestreamsell/{of.name}", "branch": of.branch}
    )
    return {
        "id": of.id,
        "autoDeploy": of.auto_deploy,
        **where,
        "createdAt": moment(of.created),
        "dashboardUrl": f"{_DASHBOARD}/web/{of.id}",
        "name": of.name,
        "notifyOnFail": "default",
        "ownerId": OWNER,
        "rootDir": of.root_dir,
        "slug": of.name,
        "suspended": "suspended" if of.suspended else "not_suspended",
        "suspenders": ["user"] if of.suspended else [],
        "type": of.type,
        "updatedAt": moment(of.updated),
        "serviceDetails": details,
    }


def instance(of: Instance) -> dict[str, Any]:
    """Return an instance: an id and an age, nothing else. Render says no more."""
    return {"id": of.id, "createdAt": moment(of.created)}


def event(of: Event, service_id: str) -> dict[str, Any]:
    """Return an event."""
    return {
        "id": of.id,
        "timestamp": moment(of.at),
        "serviceId": service_id,
        "type": of.type,
        "details": dict(of.details),
    }


def error(message: str, request_id: str) -> dict[str, Any]:
    """Return an error."""
    return {"id": request_id, "message": message}


@dataclass(frozen=True, slots=True)
class EnvVar:
    """An environment variable of a service."""

    key: str
    value: str

    @property
    def id(self) -> str:
        """What a cursor points at."""
        return self.key


def env_var(of: EnvVar) -> dict[str, Any]:
    """Return an environment variable."""
    return {"key": of.key, "value": of.value}
