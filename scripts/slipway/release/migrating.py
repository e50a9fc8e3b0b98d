"""The migrations of a release: expanded before its code, reverted only where every rule allows it.

Old code runs on the expanded schema: that is what `check-migrations` is for. So a way back leaves
the migration where it is, unless data were found inconsistent and the check that found it names
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from slipway.config import Migrations
from slipway.ports import Checked, Migration
from slipway.release.deploys import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """What a release has applied to the database."""

    applied: tuple[Migration, ...]
    """Oldest first, as the files of this checkout say."""
    at: datetime
    """When it was written down, by the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a migration is not reverted by itself."""

    code: str
    """Of the rule: see docs/migrations.md."""
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """How reverting ended."""

    done: bool
    """``False``: the database is not as it was before the release. A person has to look."""
    sentence: str
    """What is reverted and what is not, for the report."""
    refusals: tuple[Refusal, ...] = ()
    """Where there are any, nothing was reverted."""
    remedy: str | None = None


def preflight(ports: Ports, settings: Migrations | None) -> None:
    """Refuse what would go wrong, before anything is changed. No migrations asked for: nothing.

    Raises :class:`slipway.errors.Refused`: the database or the files cannot be read, something
    pending is older than what is applied, something applied has no file here or another one than
    was applied, or a contract migration is to be released beside others.
    """
    raise NotImplementedError


def expand(ports: Ports, settings: Migrations | None, release: str) -> Expanded | None:
    """Apply what is pending, under the lock, and read back what is applied.

    Returns ``None`` where there was nothing to apply. What an earlier attempt of the same release
    applied is returned too: it is found by the record in ``deploy.migrations``.

    Raises :class:`slipway.errors.Refused` where nothing was applied and nothing could be,
    :class:`slipway.errors.DeployFailed` where it ended half-way: it says what is applied and what
    is not.
    """
    raise NotImplementedError


def revert(
    ports: Ports,
    settings: Migrations | None,
    expanded: Expanded,
    failing: Sequence[Checked],
    *,
    serving: Sequence[str],
    share: float | None,
) -> Reverted:
    """Revert what this release applied, newest first, where every rule allows all of it.

    ``failing``: the checks that say that data are inconsistent. ``serving``: why code of the
    release may still run; empty: its last instance is known to be gone. ``share``: percent at the
    edge that goes to it, 0 where there is no edge; ``None``: not known.

    Never raises :class:`slipway.errors.SlipwayError`. Any refusal: nothing was reverted.
    """
    raise NotImplementedError
