"""What PostHog accepts as a flag's ``filters``, and what it keeps of it.

Unknown keys are dropped without an error and no type is coerced, as in PostHog's own schema.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_TOP = (
    "groups",
    "multivariate",
    "payloads",
    "aggregation_group_type_index",
    "feature_enrollment",
    "holdout",
    "early_exit",
)
_GROUP = (
    "properties",
    "rollout_percentage",
    "variant",
    "aggregation_group_type_index",
    "description",
    "sort_key",
)
_PROPERTY = ("key", "value", "type", "operator", "negation", "group_type_index", "label")
_PROPERTY_TYPES = ("person", "cohort", "group", "flag")


class InvalidFilters(ValueError):
    """The filters are refused; the message is what the user is told."""


def normalised(filters: object) -> dict[str, Any]:
    """Return ``filters`` as PostHog stores it. Raises :class:`InvalidFilters`."""
    if not isinstance(filters, Mapping):
        raise InvalidFilters("Filters must be an object.")
    kept = {key: filters[key] for key in _TOP if key in filters}
    groups = kept.get("groups", [])
    if not isinstance(groups, list):
        raise InvalidFilters("groups must be a list.")
    kept["groups"] = [_group(group) for group in groups]
    if kept.get("multivariate") is not None:
        kept["multivariate"] = _multivariate(kept["multivariate"])
    if kept.get("payloads") is not None:
        _check_payloads(kept["payloads"], kept.get("multivariate"))
    return kept


def percentage(value: object, *, where: str) -> float | None:
    """Return a rollout percentage, 0 to 100; ``None`` means 100. Raises :class:`InvalidFilters`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidFilters(f"{where} must be a number.")
    if not math.isfinite(value) or not 0 <= value <= 100:
        raise InvalidFilters(f"{where} must be between 0 and 100.")
    return value


def _group(group: object) -> dict[str, Any]:
    if not isinstance(group, Mapping):
        raise InvalidFilters("Each group must be an object.")
    kept = {key: group[key] for key in _GROUP if key in group}
    percentage(kept.get("rollout_percentage"), where="rollout_percentage")
    properties = kept.get("properties") or []
    if not isinstance(properties, list):
        raise InvalidFilters("properties must be a list.")
    kept["properties"] = [_property(item) for item in properties]
    return kept


def _property(item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise InvalidFilters("Each property must be an object.")
    if not isinstance(item.get("key"), str):
        raise InvalidFilters("A property needs a key.")
    if item.get("type") not in _PROPERTY_TYPES:
        raise InvalidFilters(f"A property's type must be one of {', '.join(_PROPERTY_TYPES)}.")
    return {key: item[key] for key in _PROPERTY if key in item}


def _multivariate(value: object) -> dict[str, Any]:
    variants = value.get("variants") if isinstance(value, Mapping) else None
    if not isinstance(variants, list) or not all(isinstance(item, Mapping) for item in variants):
        raise InvalidFilters("multivariate needs a list of variants.")
    shares = [
        percentage(item.get("rollout_percentage"), where="A variant's share") for item in variants
    ]
    if variants and sum(share or 0 for share in shares) != 100:
        raise InvalidFilters(
            "Invalid variant definitions: Variant rollout percentages must sum to 100."
        )
    keys = ("key", "name", "rollout_percentage")
    return {"variants": [{k: item[k] for k in keys if k in item} for item in variants]}


def _check_payloads(payloads: object, multivariate: Mapping[str, Any] | None) -> None:
    if not isinstance(payloads, Mapping):
        raise InvalidFilters("payloads must be an object.")
    variants = {item.get("key") for item in (multivariate or {}).get("variants", [])} or {"true"}
    for key, value in payloads.items():
        if key not in variants:
            raise InvalidFilters("Payload keys must be 'true' for boolean flags, else a variant.")
        try:
            json.loads(value)
        except (TypeError, ValueError) as error:
            raise InvalidFilters("Payload value is not valid JSON") from error
