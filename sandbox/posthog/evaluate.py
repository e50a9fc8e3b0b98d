"""Decide a flag for one person, with PostHog's own bucket.

The bucket is the first 15 hex digits of ``sha1("<flag key>.<distinct id><salt>")`` over 2**60 - 1
(posthog 7.91.1, ``feature_flags.py``); the person is in when the bucket is not above the share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SCALE = float(0xFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a flag is for one person, and why."""

    value: bool | str
    reason: str
    condition: int | None = None


def bucket(key: str, distinct_id: str, salt: str = "") -> float:
    """Return where ``distinct_id`` falls in 0 to 1 for the flag ``key``."""
    # sha1 is PostHog's choice: any other hash would choose other people.
    digest = hashlib.sha1(f"{key}.{distinct_id}{salt}".encode(), usedforsecurity=False)
    return int(digest.hexdigest()[:15], 16) / _SCALE


def evaluate(
    flag: Mapping[str, Any], distinct_id: str, person_properties: Mapping[str, Any]
) -> Verdict:
    """Evaluate ``flag`` (a definition) for ``distinct_id``."""
    if not flag["active"]:
        return Verdict(value=False, reason="flag_disabled")
    person = {"distinct_id": distinct_id, **person_properties}
    out_of_share: int | None = None
    for index, group in enumerate(flag["filters"].get("groups", [])):
        if not all(_matches(item, person) for item in group.get("properties", [])):
            continue
        share = group.get("rollout_percentage")
        if share is not None and share != 100 and bucket(flag["key"], distinct_id) > share / 100:
            out_of_share = index
            continue
        value = group.get("variant") or _variant(flag, distinct_id) or True
        return Verdict(value=value, reason="condition_match", condition=index)
    if out_of_share is not None:
        return Verdict(value=False, reason="out_of_rollout_bound", condition=out_of_share)
    return Verdict(value=False, reason="no_condition_match")


def _variant(flag: Mapping[str, Any], distinct_id: str) -> str | None:
    place = bucket(flag["key"], distinct_id, "variant")
    low = 0.0
    for item in (flag["filters"].get("multivariate") or {}).get("variants", []):
        low += item["rollout_percentage"] / 100
        if place < low:
            return str(item["key"])
    return None


def _matches(item: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    # Cohorts, groups and other flags need data that is not here; nobody matches them.
    if item["type"] != "person" or item["key"] not in person:
        return False
    wanted = item.get("value")
    values = wanted if isinstance(wanted, list) else [wanted]
    same = str(person[item["key"]]).lower() in {str(value).lower() for value in values}
    operator = item.get("operator") or "exact"
    if operator == "is_not":
        return not same
    return operator == "exact" and same
