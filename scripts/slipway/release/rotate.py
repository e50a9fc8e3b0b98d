"""Another key for the release flag, so that other sellers are first: only while nobody is on it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.errors import Refused, SlipwayError
from slipway.ports import Edge, EdgeState, Flag, FlagStore, Phase, Sellers

LONGEST = 100
"""Characters of a flag key that slipway.yml takes."""
_TRIES = 50
_NUMBERED = re.compile(r"(.+)-([0-9]{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What there is now."""

    before: str
    key: str
    made: bool
    """``False``: it was there already, unused, from a run before."""
    sellers: Sellers | None
    """Of the key before; ``None``: the edge does not say."""


def run(key: str, flags: FlagStore, edge: Edge, *, share: float) -> Rotated:
    """Make the next key's flag, or find it unused. ``share`` (percent): that of a first step.

    Raises :class:`Refused` while anybody may be on the canary, and whatever the two sides raise.
    """
    state = edge.state()
    obstacle = _obstacle(key, state, flags.read(key))
    if obstacle:
        raise Refused(
            f"the cohort is not changed: {obstacle}",
            remedy="Run this again when no release is under way. What a dead release left is "
            "ended by `reconcile`, or by the next release.",
        )
    for name in _next(key):
        found = flags.read(name)
        if found is None:
            flags.create(name)
        elif not _unused(found):
            continue
        return Rotated(before=key, key=name, made=found is None, sellers=_sellers(edge, share))
    raise Refused(
        f"no key after {key} is free",
        remedy="Delete old release flags in PostHog, or choose a shorter key by hand.",
    )


def _obstacle(key: str, state: EdgeState, flag: Flag | None) -> str | None:
    """Say why now is not the time, or nothing."""
    record = flag.record if flag else None
    found: dict[str, bool] = {
        f"the edge follows {state.flag}, and slipway.yml says {key}": state.flag != key,
        f"some of the edge does not answer: {', '.join(state.missing)}": bool(state.missing),
        f"release {state.lease_release} holds the edge": state.lease_remaining > 0,
        f"the edge sends {state.share:g} % of the sellers to the canary": state.share > 0,
    }
    if flag is not None:
        found[f"the flag {key} is on at {flag.share:g} %"] = flag.active and flag.share > 0
    if record is not None:
        said = f"the record says {record.phase} of release {record.release}"
        found[said] = record.phase is not Phase.STABLE
    return next((obstacle for obstacle, there in found.items() if there), None)


def _next(key: str) -> list[str]:
    numbered = _NUMBERED.fullmatch(key)
    base, number = (numbered[1], int(numbered[2])) if numbered else (key, 1)
    names = [f"{base}-{n}" for n in range(number + 1, number + 1 + _TRIES)]
    return [name for name in names if len(name) <= LONGEST]


def _unused(flag: Flag) -> bool:
    """Whether it is as `create` leaves it: anybody's other flag must not become the record."""
    payloads = flag.filters.get("payloads")
    groups = flag.filters.get("groups") or []
    plain = all(isinstance(g, dict) and not g.get("properties") for g in groups)
    return not (flag.active or flag.share or flag.record or payloads) and plain


def _sellers(edge: Edge, share: float) -> Sellers | None:
    try:
        return edge.sellers(share)
    except SlipwayError:
        return None
