"""The release record as the flag's filters hold it, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from slipway.clients.fields import Fields
from slipway.errors import OutsideError
from slipway.ports import Holder, Phase, Record

VERSION: Final = 1
"""Version of the payload. A payload of another version is not read."""
WHERE: Final = "release record"


def filters(record: Record, sellers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the flag's filters that say ``record``: a group at its share, and the payload.

    ``sellers``, by their ids, are in a group of their own, whatever the share is above 0.
    """
    groups: list[dict[str, Any]] = [
        {"properties": [], "rollout_percentage": _number(record.share)},
    ]
    if sellers and record.share > 0:
        groups.append({"properties": [_named(sellers)], "rollout_percentage": 100})
    return {
        "groups": groups,
        "payloads": {"true": encode(record)},
        "multivariate": None,
    }


def filters_for_nobody(record: Record | None) -> dict[str, Any]:
    """Return filters that match nobody: what a kill leaves. They may still say ``record``."""
    payloads = {"true": encode(record)} if record else {}
    return {"groups": [], "payloads": payloads, "multivariate": None}


def share(filters: Mapping[str, Any]) -> float:
    """Return the percent of sellers these filters let in, at most, beside those they name.

    A group that names no percentage lets everybody in (PostHog's rule). Slipway writes one group
    for all sellers; where somebody added others, the largest counts. Raises :class:`OutsideError`.
    """
    groups = Fields(filters, WHERE).items("groups") if filters.get("groups") else []
    return max(
        (
            100.0
            if group.raw.get("rollout_percentage") is None
            else group.number("rollout_percentage", low=0, high=100)
            for group in groups
            if not _names_sellers(group.raw)
        ),
        default=0.0,
    )


def _named(sellers: Sequence[str]) -> dict[str, Any]:
    value = list(sellers)
    return {"key": "distinct_id", "type": "person", "operator": "exact", "value": value}


def _names_sellers(group: Mapping[str, Any]) -> bool:
    properties = group.get("properties")
    return isinstance(properties, list) and any(
        isinstance(one, dict)
        and one.get("key") == "distinct_id"
        and one.get("operator") in (None, "exact")
        for one in properties
    )


def read(filters: Mapping[str, Any]) -> Record | None:
    """Return the record in the filters; ``None`` if there is none, or none that can be read."""
    payloads = filters.get("payloads")
    payload = payloads.get("true") if isinstance(payloads, dict) else None
    return decode(payload) if isinstance(payload, str) else None


def encode(record: Record) -> str:
    """Return the payload: JSON on one line."""
    return json.dumps(
        {
            "v": VERSION,
            "release": record.release,
            "candidate": record.candidate,
            "stable": {"build": record.stable_build, "deploy_id": record.stable_deploy},
            "phase": record.phase.value,
            "share": _number(record.share),
            "holder": {"run_id": record.holder.run_id, "attempt": record.holder.attempt},
            "since": record.since.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            **_unless_none("canary_instances", record.canary_instances),
            **_previous(record),
        },
        separators=(",", ":"),
    )


def decode(payload: str) -> Record | None:
    """Return the record, or ``None`` for anything this version did not write."""
    try:
        fields = Fields(json.loads(payload), WHERE)
        if fields.integer("v") != VERSION:
            return None
        stable, holder = fields.child("stable"), fields.child("holder")
        previous = fields.child_or_none("previous")
        return Record(
            release=fields.text("release"),
            candidate=fields.text("candidate"),
            stable_build=stable.text("build"),
            stable_deploy=stable.text("deploy_id"),
            phase=Phase(fields.text("phase")),
            share=fields.number("share", low=0, high=100),
            holder=Holder(run_id=holder.text("run_id"), attempt=holder.integer("attempt")),
            since=fields.time("since"),
            canary_instances=fields.integer_or_none("canary_instances"),
            previous_build=previous.text("build") if previous else None,
            previous_deploy=previous.text("deploy_id") if previous else None,
        )
    except (ValueError, RecursionError, OutsideError):
        return None


def _unless_none(name: str, value: int | None) -> dict[str, int]:
    return {} if value is None else {name: value}


def _previous(record: Record) -> dict[str, dict[str, str]]:
    if record.previous_build is None or record.previous_deploy is None:
        return {}
    return {"previous": {"build": record.previous_build, "deploy_id": record.previous_deploy}}


def _number(value: float) -> int | float:
    """Write 5, not 5.0: what PostHog's own page writes, so that nothing seems changed."""
    return int(value) if float(value).is_integer() else value
