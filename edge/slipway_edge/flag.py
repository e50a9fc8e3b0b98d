"""PostHog's flag definition, read into what the edge can reproduce, or refused with a reason.

The edge reproduces: a boolean flag, bucketed by distinct id, whose conditions are empty or name
distinct ids (``exact``, ``is_not``). With anything else, edge and SDKs would see different cohorts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeGuard

from .cohort import NOBODY_THRESHOLD, Assignment, normalise, threshold

PHASES: Final = frozenset(
    {"stable", "deploying", "canary", "baking", "settling", "rolling_back", "frozen"}
)
_FILTER_KEYS: Final = frozenset({"groups", "payloads", "multivariate"})
_GROUP_KEYS: Final = frozenset({"properties", "rollout_percentage", "description", "sort_key"})


class NotReproducible(Exception):
    """The flag uses something the edge cannot reproduce; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Which write of which flag this is. PostHog counts ``version`` up from 1 for each flag id."""

    flag_id: int
    version: int

    def follows(self, other: Stamp) -> bool:
        """True if this was written after ``other``; another flag id is a flag made anew."""
        return self.flag_id != other.flag_id or self.version > other.version

    @property
    def order(self) -> tuple[int, int]:
        """A key by which edges agree on what is newer: PostHog numbers flags upward."""
        return self.flag_id, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The part of the release record that the edge acts on."""

    release: str
    phase: str
    share: float
    """Percent, 0 to 100."""
    candidate: str | None = None
    """Digest or commit; only shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One of the flag's groups; a seller is in if any group lets it in."""

    percent: float
    only: frozenset[str] | None = None
    """The sellers it is for; ``None``: all."""
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A definition the edge understands. ``active`` is false for a deleted flag too."""

    stamp: Stamp
    active: bool
    conditions: tuple[Condition, ...] = ()
    record: Record | None = None

    @property
    def share(self) -> float:
        """Percent of the sellers who are not named."""
        return max((c.percent for c in self.conditions if c.only is None), default=0.0)

    def assignment(self, share: float) -> Assignment:
        """Return who is on the canary when at most ``share`` percent of all sellers may be."""
        capped = [
            replace(c, percent=min(c.percent, share)) if c.only is None else c
            for c in self.conditions
        ]
        named = {
            seller
            for c in capped
            for seller in (c.only if c.only is not None else c.excluded) | c.excluded
        }
        return Assignment(
            others=max(
                (threshold(c.percent) for c in capped if c.only is None), default=NOBODY_THRESHOLD
            ),
            named={seller: _own_threshold(capped, seller) for seller in sorted(named)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A definition the edge does not act on. ``stamp`` is that of the last one it could read."""

    reason: str
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """PostHog has no such flag. ``stamp`` is that of the last one seen before it went away."""

    stamp: Stamp | None = None


Definition = Flag | Refused | Absent


def read(flags: Sequence[Any], key: str) -> Definition:
    """Find the flag ``key`` in PostHog's list of definitions and read it. Never raises."""
    raw = next((f for f in flags if isinstance(f, Mapping) and f.get("key") == key), None)
    if raw is None:
        return Absent()
    flag_id, version = raw.get("id"), raw.get("version")
    if not _is_int(flag_id) or not _is_int(version):
        return Refused(reason="the flag has no whole-number id and version")
    stamp = Stamp(flag_id=flag_id, version=version)
    # A kill empties the flag, so an inactive one is recognised whatever else it holds.
    if raw.get("active") is not True or raw.get("deleted"):
        return Flag(stamp=stamp, active=False)
    try:
        filters = _mapping(raw.get("filters"), "filters")
        _check_whole_flag(raw, filters)
        groups = _sequence(filters.get("groups") or [], "groups")
        return Flag(
            stamp=stamp,
            active=True,
            conditions=tuple(_condition(_mapping(g, "a group")) for g in groups),
            record=_record(filters.get("payloads")),
        )
    except NotReproducible as problem:
        return Refused(reason=str(problem), stamp=stamp)


def accept(known: Definition | None, seen: Definition) -> Definition:
    """Return the definition to act on: ``seen``, unless it is older than ``known``.

    PostHog serves definitions from a cache that may lag, so a lower version may follow a higher.
    A flag that was absent is not believed at the version it had: only a later write brings it back.
    An older flag that was given the key is refused: edges could not agree on what is newer.
    """
    if known is None or known.stamp is None:
        return seen
    if seen.stamp is None:
        return replace(seen, stamp=known.stamp)
    if seen.stamp.order > known.stamp.order:
        return seen
    if isinstance(known, Absent) or seen.stamp == known.stamp:
        return known if isinstance(known, Absent) else seen
    if seen.stamp.flag_id < known.stamp.flag_id:
        ids = f"flag {seen.stamp.flag_id} has the key of the newer flag {known.stamp.flag_id}"
        return Refused(reason=f"{ids}; restart all edges to follow it", stamp=known.stamp)
    return known


def hear(known: Definition | None, told: Definition, *, authority: bool) -> Definition:
    """Return the definition to act on after another edge told its own.

    Any edge is believed a newer one. At the same version only the one that polls for the fleet is
    (``authority``): its word counts as an answer of PostHog.
    """
    if known is None or known.stamp is None:
        return told if known is None or told.stamp is not None else known
    if told.stamp is not None and told.stamp.order > known.stamp.order:
        return told
    if authority and told.stamp == known.stamp:
        return accept(known, told)
    return known


def _own_threshold(conditions: Sequence[Condition], seller: str) -> int:
    percents = [
        c.percent
        for c in conditions
        if (c.only is None or seller in c.only) and seller not in c.excluded
    ]
    return threshold(max(percents)) if percents else NOBODY_THRESHOLD


def _check_whole_flag(raw: Mapping[str, Any], filters: Mapping[str, Any]) -> None:
    if raw.get("ensure_experience_continuity"):
        raise NotReproducible("the flag persists across authentication (experience continuity)")
    if (raw.get("bucketing_identifier") or "distinct_id") != "distinct_id":
        raise NotReproducible("the flag buckets by something other than the distinct id")
    multivariate = filters.get("multivariate") or {}
    if _mapping(multivariate, "multivariate").get("variants"):
        raise NotReproducible("the flag is multivariate")
    for key in sorted(set(filters) - _FILTER_KEYS):
        if not _is_unset(filters[key]):
            raise NotReproducible(f"the flag uses {key!r}")


def _condition(group: Mapping[str, Any]) -> Condition:
    for key in sorted(set(group) - _GROUP_KEYS):
        if not _is_unset(group[key]):
            raise NotReproducible(f"a condition uses {key!r}")
    only: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    for item in _sequence(group.get("properties") or [], "properties"):
        prop = _mapping(item, "a property")
        if prop.get("key") != "distinct_id" or prop.get("type") not in (None, "person"):
            raise NotReproducible("a condition is on something other than the distinct id")
        sellers = _sellers(prop.get("value"))
        match prop.get("operator") or "exact":
            case "exact":
                only = sellers if only is None else only & sellers
            case "is_not":
                excluded |= sellers
            case operator:
                raise NotReproducible(f"a condition uses the operator {operator!r}")
        if not _is_unset(prop.get("negation")):
            raise NotReproducible("a condition is negated")
    return Condition(
        percent=_percent(group.get("rollout_percentage", 100), "rollout_percentage", null=100.0),
        only=only,
        excluded=excluded,
    )


def _sellers(value: Any) -> frozenset[str]:
    values = value if isinstance(value, list) else [value]
    known = set()
    for one in values:
        seller = normalise(str(one)) if isinstance(one, str) or _is_int(one) else None
        if seller is None:
            raise NotReproducible("a condition names an id that the edge does not recognise")
        known.add(seller)
    return frozenset(known)


def _record(payloads: Any) -> Record | None:
    """Read ``payloads["true"]``; ``None`` when the flag has no payload at all."""
    text = payloads.get("true") if isinstance(payloads, Mapping) else payloads
    if _is_unset(text):
        return None
    try:
        raw = _mapping(json.loads(text), "the payload") if isinstance(text, str) else None
    except (ValueError, RecursionError):
        raw = None
    if raw is None:
        raise NotReproducible("the payload is not a release record in JSON")
    release, phase = raw.get("release"), raw.get("phase")
    # No lease can be for an empty or unprintable name, and states and logs show it.
    if (
        raw.get("v") != 1
        or not isinstance(release, str)
        or not release
        or not release.isprintable()
    ):
        raise NotReproducible("the payload is not a release record of version 1")
    if not isinstance(phase, str) or phase not in PHASES:
        raise NotReproducible("the release record has an unknown phase")
    candidate = raw.get("candidate")
    return Record(
        release=release,
        phase=phase,
        share=_percent(raw.get("share"), "share"),
        candidate=candidate if isinstance(candidate, str) and candidate.isprintable() else None,
    )


def _percent(value: Any, name: str, *, null: float | None = None) -> float:
    if value is None and null is not None:
        return null
    # bool is an int in Python; JSON's true is not a percentage.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotReproducible(f"{name} is not a number")
    if not 0 <= value <= 100:  # false for NaN, too; isfinite() raises for a large whole number
        raise NotReproducible(f"{name} is not between 0 and 100")
    return float(value)


def _is_unset(value: Any) -> bool:
    # Not plain falsiness: aggregation_group_type_index 0 is a group type.
    return value is None or value is False or value in ("", [], {})


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotReproducible(f"{name} is not an object")
    return value


def _sequence(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise NotReproducible(f"{name} is not a list")
    return value
