"""The database: checks that only read it, and the migrations of a release."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, Protocol

MOST: Final = 10_000
"""Offending rows that are counted. More are reported as so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One SELECT whose rows are what is wrong."""

    name: str
    """Of its file, without the ending."""
    sql: str
    severity: Literal["critical", "warn"] = "critical"
    """``warn``: told, and no reason to go back."""
    phase: Literal["always", "post-release"] = "always"
    """``post-release``: it can only be run once the migrations of the release are there."""
    timeout: float | None = None
    """Seconds; ``None``: what slipway.yml says."""
    description: str = ""
    migrations: tuple[str, ...] = ()
    """Versions of the migrations that a failure of it is undone by reverting."""


class Finding(StrEnum):
    """How a check ended. Three ways, never two."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ERROR = "error"
    """It could not be run: nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check found."""

    check: Check
    finding: Finding
    rows: int = 0
    """Offending rows, up to :data:`MOST`; more are reported as so many."""
    keys: tuple[str, ...] = ()
    """The first values of the first column, where that is a key: never whole rows, which may hold
    what belongs to a person."""
    why: str = ""
    """Why it could not be run."""
    seconds: float = 0.0
    unreachable: bool = False
    """Whether the database itself could not be asked: the next check would end the same way."""


class Database(Protocol):
    """The database, for looking."""

    def check(self, check: Check) -> Checked:
        """Run one check, within its time and its rights. What goes wrong is ``ERROR``."""
        ...

    def cautions(self) -> Sequence[str]:
        """Say what the role may do that a check needs not. Nothing where it cannot be asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One migration, as its file says."""

    version: str
    name: str
    file: str
    """From the root of the repository."""
    checksum: str
    """SHA-256 of its file, of both where it is a pair: 64 hex digits."""
    up: str
    """SQL."""
    down: str | None
    """SQL; ``None``: there is none, or nothing is in it."""
    contract: bool = False
    """Whether it says ``-- deploy: contract``: it takes away what older code reads."""
    irreversible: bool = False
    """Whether it says ``-- deploy: irreversible``, in the words of its tool."""
    transactional: bool = True
    """Whether its tool runs it in a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A line of ``deploy.migrations``: what a release of this suite applied."""

    version: str
    checksum: str
    release: str
    applied_at: datetime | None
    """``None``: it was about to be applied, and whether it was is read from the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What reverting would take away, and has to be looked for first."""

    schema: str | None
    """``None``: where the role's search path finds it."""
    table: str
    column: str | None = None
    """``None``: every row of the table; else the rows in which this column holds a value."""


class Migrator(Protocol):
    """A tool of the user's that migrates, and the database it does it to.

    Raises :class:`slipway.errors.UsageError` for files that cannot be read,
    :class:`slipway.errors.OutsideError` where the database or the tool does not do as it should.
    """

    def files(self) -> Sequence[Migration]:
        """Return what the checkout holds, oldest first."""
        ...

    def applied(self) -> Sequence[str]:
        """Return the versions that the database has, oldest first."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock that every migration of this suite is run under.

        Waits a bounded time for whoever holds it, and says so. May be nested.
        """
        ...

    def apply(self) -> None:
        """Apply all that is pending."""
        ...

    def revert(self, version: str, archive: Sequence[Probe] = ()) -> Sequence[str]:
        """Revert the newest that is applied, which must be this one.

        What ``archive`` names is copied into the schema ``deploy`` first, in the same transaction
        where the tool lets one in, else under the lock and counted again. Returns the names of
        the copies, without the schema.
        """
        ...

    def recorded(self) -> Sequence[Recorded]:
        """Return what releases of this suite applied, oldest first. None where there is no record
        yet: looking makes none."""
        ...

    def intend(self, migrations: Sequence[Migration], release: str) -> None:
        """Write down what is about to be applied: who dies meanwhile must be able to be told."""
        ...

    def confirm(self, versions: Sequence[str]) -> datetime:
        """Write down that these are applied; returns when, by the database's clock."""
        ...

    def forget(self, versions: Sequence[str]) -> None:
        """Remove the record of what is not applied, or no longer."""
        ...

    def rows(self, probe: Probe) -> int:
        """Count the rows that hold what is looked for, as the tables' owner sees them."""
        ...

    def keyed(self, probe: Probe) -> bool:
        """Return whether the table has a primary key, by which an archive can name its rows."""
        ...

    def round_trip(self, version: str) -> str | None:
        """Return the checksum with which it went there and back in this run of the workflow."""
        ...

    def backup_at(self) -> datetime | None:
        """Return when the newest backup that could be restored was made. ``None``: not known."""
        ...
