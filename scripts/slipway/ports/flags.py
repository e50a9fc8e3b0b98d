"""PostHog: the flag that is the record of a canary release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Phase(StrEnum):
    """Where a canary release is (design: the record)."""

    STABLE = "stable"
    DEPLOYING = "deploying"
    CANARY = "canary"
    BAKING = "baking"
    SETTLING = "settling"
    ROLLING_BACK = "rolling_back"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who drives a release: a workflow run and its attempt."""

    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is true about a canary release: the flag's payload. Holds nothing confidential."""

    release: str
    candidate: str
    """Digest or commit."""
    stable_build: str
    stable_deploy: str
    phase: Phase
    share: float
    """Percent of sellers on the canary track, 0 to 100."""
    holder: Holder
    since: datetime
    canary_instances: int | None = None
    """How many the canary service had before the release made it larger; ``None``: as it is."""
    previous_build: str | None = None
    """What was stable before the release that is recorded as stable: what a person goes back to,
    known even where Render does not answer. ``None``: no release says."""
    previous_deploy: str | None = None
    """Its deploy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """The flag that carries the record, as read."""

    id: int
    key: str
    version: int
    active: bool
    filters: Mapping[str, Any]
    """Exactly as read: a later write sends it back for compare-and-set."""
    share: float
    """``rollout_percentage`` of the only group; 0 when there is none."""
    record: Record | None
    """``None``: no payload, or one this version cannot read."""


class FlagStore(Protocol):
    """PostHog's feature flags: the release record."""

    def read(self, key: str) -> Flag | None:
        """Read the flag with exactly this key; ``None`` if there is none."""
        ...

    def create(self, key: str) -> Flag:
        """Create the flag: inactive, at 0 %, without a record."""
        ...

    def write(self, flag: Flag, record: Record, *, activate: bool = False) -> Flag:
        """Write share and record if the flag is still as read, and read it back.

        Sends ``active`` only with ``activate``. Raises :class:`slipway.errors.FlagConflict`.
        """
        ...

    def editor(self, flag: Flag) -> str | None:
        """Return who changed the flag last, and when, where PostHog says so at once."""
        ...

    def kill(self, flag: Flag, record: Record | None = None) -> None:
        """Inactive, for nobody: unconditional, so that every older write conflicts.

        ``record`` is what is left in the payload: what is being gone back to, where it is known.
        """
        ...
