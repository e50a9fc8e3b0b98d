"""What Render's answers say, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.clients.fields import Fields, wrong
from slipway.ports import Autoscaling, Deploy, DeployStatus, Event, Requests, Service

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_YES: Final = {"yes": True, "no": False}
_SUSPENDED: Final = {"suspended": True, "not_suspended": False}
_WITHOUT_INSTANCES: Final = frozenset({"static_site", "cron_job"})
_STATUS_LABELS: Final = ("statusCode", "status", "code")


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
        plan=details.text_or_none("plan") or None,
        region=details.text_or_none("region") or None,
        autoscaling=_autoscaling(details),
        disk=details.child_or_none("disk") is not None,
        maintenance=_maintenance(details),
        start_command=_command(details),
        pre_deploy_command=_specific(details, "preDeployCommand"),
        shutdown_delay=details.integer_or_none("maxShutdownDelaySeconds"),
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
        pinned=_pinned(fields),
    )


def parse_event(fields: Fields) -> Event:
    """Read an event. Details that are not as documented are left out."""
    details = _object(fields.raw.get("details"))
    reason = _object(details.get("reason"))
    unhealthy = reason.get("unhealthy")
    instance = details.get("instanceID")
    return Event(
        id=fields.text("id"),
        type=fields.text("type"),
        at=fields.time("timestamp"),
        instance=instance if isinstance(instance, str) else None,
        unhealthy=unhealthy if isinstance(unhealthy, str) else None,
        crashed=_crashed(reason),
        evicted=reason.get("evicted") is True,
    )


def _crashed(reason: Mapping[str, Any]) -> str | None:
    """Say how a process ended, of the reasons that are its own doing; ``None``: none of those."""
    status = reason.get("nonZeroExit")
    if isinstance(reason.get("oomKilled"), dict):
        limit = reason["oomKilled"].get("memoryLimit")
        return f"out of memory (limit {limit})" if isinstance(limit, str) else "out of memory"
    if isinstance(status, int) and not isinstance(status, bool) and status != 0:
        return f"exit status {status}"
    return "it ended by itself" if reason.get("earlyExit") is True else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def parse_requests(series: Sequence[Fields]) -> Requests | None:
    """Add up requests by status code; ``None``: no values. Raises :class:`OutsideError`.

    Which of three names the label of the status code has is not documented: one must be there.
    """
    total = errors = 0.0
    values = 0
    for one in series:
        labels = {label.text("field"): label.text("value") for label in one.items("labels")}
        code = next((labels[name] for name in _STATUS_LABELS if name in labels), None)
        if code is None:
            raise wrong(one.where, f"no status code among the labels {sorted(labels)}")
        for value in one.items("values"):
            number = value.number("value", low=0)
            values += 1
            total += number
            errors += number if code.startswith("5") else 0
    return Requests(total=total, errors=errors) if values else None


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


def newest_first(deploys: Sequence[Deploy]) -> bool:
    times: list[Any] = [deploy.created_at for deploy in deploys]
    return times == sorted(times, reverse=True)


def _pinned(fields: Fields) -> bool:
    image = fields.child_or_none("image")
    return image is None or "@sha256:" in (image.text_or_none("ref") or "")


def _autoscaling(details: Fields) -> Autoscaling | None:
    found = details.child_or_none("autoscaling")
    if found is None:
        return None
    return Autoscaling(
        enabled=found.boolean("enabled"),
        minimum=found.integer("min"),
        maximum=found.integer("max"),
    )


def _maintenance(details: Fields) -> bool:
    found = details.child_or_none("maintenanceMode")
    return found is not None and found.boolean("enabled")


def _command(details: Fields) -> str | None:
    return _specific(details, "startCommand") or _specific(details, "dockerCommand")


def _specific(details: Fields, name: str) -> str | None:
    """Read a setting that depends on the runtime."""
    specific = details.child_or_none("envSpecificDetails")
    return (specific.text_or_none(name) or None) if specific else None
