"""Changes to a service's configuration. What the sandbox does not model is refused, not ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.render import registry
from sandbox.render.deploys import Refusal
from sandbox.render.model import Service, now

CRITERIA: Mapping[str, Any] = {
    "cpu": {"enabled": True, "percentage": 70},
    "memory": {"enabled": False, "percentage": 70},
}


def patch(service: Service, asked: Mapping[str, Any]) -> None:
    """Apply the body of ``PATCH /services/{id}``. Raises :class:`Refusal` (400)."""
    changes: dict[str, Any] = {}
    for key, value in asked.items():
        if key == "autoDeploy" and value in {"yes", "no"}:
            changes["auto_deploy"] = value
        elif key in {"branch", "name"} and isinstance(value, str) and value:
            changes[key] = value
        elif key == "rootDir" and isinstance(value, str):
            changes["root_dir"] = value
        elif key == "image" and service.runtime == "image":
            changes["image"] = _image_path(value)
        elif key == "serviceDetails" and isinstance(value, Mapping):
            changes.update(_details(value))
        else:
            raise Refusal(400, f"invalid or unsupported: {key}")
    if changes.get("maintenance", service.maintenance) != service.maintenance:
        service.note("maintenance_mode_enabled", enabled=changes["maintenance"])
    for name, value in changes.items():
        setattr(service, name, value)
    service.updated = now()


def _image_path(image: Any) -> str:
    if not isinstance(image, Mapping) or not isinstance(image.get("ownerId"), str):
        raise Refusal(400, "image needs ownerId and imagePath")
    path = image.get("imagePath")
    try:
        registry.split(path if isinstance(path, str) else "")
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    return str(path)


def _details(details: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key, value in details.items():
        if key == "healthCheckPath" and isinstance(value, str) and value[:1] in {"", "/"}:
            changes["health_path"] = value
        elif key == "maxShutdownDelaySeconds" and isinstance(value, int) and 1 <= value <= 300:
            changes["shutdown_delay"] = value
        elif key == "plan" and isinstance(value, str) and value:
            changes["plan"] = value
        elif key == "maintenanceMode" and isinstance(value, Mapping):
            changes |= _maintenance(value)
        elif key == "envSpecificDetails" and isinstance(value, Mapping):
            changes["start_command"] = _command(value)
        else:
            raise Refusal(400, f"invalid or unsupported: serviceDetails.{key}")
    return changes


def _maintenance(asked: Mapping[str, Any]) -> dict[str, Any]:
    enabled, uri = asked.get("enabled"), asked.get("uri")
    if not isinstance(enabled, bool) or not isinstance(uri, str):
        raise Refusal(400, "maintenanceMode needs enabled and uri")
    return {"maintenance": enabled, "maintenance_uri": uri}


def _command(asked: Mapping[str, Any]) -> str:
    for name, value in asked.items():
        if name in {"startCommand", "dockerCommand"} and isinstance(value, str):
            return value
    raise Refusal(400, "invalid or unsupported: serviceDetails.envSpecificDetails")


def set_autoscaling(service: Service, asked: Mapping[str, Any]) -> int | None:
    """Set the configuration; return the instance count it leads to, ``None`` where it is off.

    The sandbox has no load to follow: the count is only kept within the bounds. Raises
    :class:`Refusal` (400).
    """
    low, high = asked.get("min"), asked.get("max")
    complete = isinstance(asked.get("enabled"), bool) and isinstance(asked.get("criteria"), Mapping)
    if (
        not complete
        or not isinstance(low, int)
        or not isinstance(high, int)
        or not 1 <= low <= high
    ):
        raise Refusal(400, "autoscaling needs enabled, min, max and criteria")
    before = service.autoscaling
    service.autoscaling = {key: asked[key] for key in ("enabled", "min", "max", "criteria")}
    details = {"toConfig": service.autoscaling}
    service.note(
        "autoscaling_config_changed", **details, **({"fromConfig": before} if before else {})
    )
    now_there = service.autoscaled or service.num_instances
    return min(max(now_there, low), high) if asked["enabled"] else None
