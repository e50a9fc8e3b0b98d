"""There and back: what a revert leaves behind, seen on a database where nothing matters.

Each migration in turn goes up, down and up again, with a few rows in every table that was there
before it. The schema and those rows must then be as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from slipway.errors import OutsideError
from slipway.ports.data import Migration
from slipway.text import one_line

TOLD = 5
"""Differences that are told of one trip."""


class Ended(StrEnum):
    """How a trip ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_TRIED = "not tried"
    """There is no way back that could be tried, or a migration before it did not go up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One migration, there and back."""

    migration: Migration
    ended: Ended
    why: str = ""
    """What went wrong, or why nothing was tried."""
    notes: tuple[str, ...] = ()
    """What could not be looked at."""
    tables: int = 0
    """Tables whose rows were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of the tables that there are."""

    columns: Mapping[str, tuple[str, ...]]
    """By the name of the table."""
    sums: Mapping[str, str]
    """Number and checksum of the rows, over these columns; a table that is gone has none."""


class Scratch(Protocol):
    """A database that may be ruined, and the migrations it is brought to and fro with.

    Raises :class:`slipway.errors.OutsideError` where a migration fails.
    """

    def applied(self) -> Sequence[str]:
        """Return the versions that it has."""
        ...

    def up(self, version: str) -> None:
        """Apply all migrations up to this one."""
        ...

    def down(self, version: str) -> None:
        """Revert this one, the newest."""
        ...

    def schema(self) -> Mapping[str, str]:
        """Return the definition of every object, by a name that says its kind."""
        ...

    def seed(self) -> Sequence[str]:
        """Put rows into the tables that have none; returns why into some none could be put."""
        ...

    def unseed(self) -> None:
        """Take those rows out again."""
        ...

    def rows(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> Rows:
        """Look at the rows: at these columns, or at all that there are."""
        ...


def trips(
    migrations: Sequence[Migration],
    wanted: Callable[[Migration], bool],
    scratch: Scratch,
    differences: Callable[[Mapping[str, str], Mapping[str, str]], list[str]],
) -> list[Trip]:
    """Bring an empty database up, ``migrations`` oldest first, and try the way back of the wanted.

    Ends early where one does not go up: nothing can be said of those that come after it.
    """
    found: list[Trip] = []
    stuck = ""
    for migration in migrations:
        if stuck:
            if wanted(migration):
                found.append(_trip(migration, Ended.NOT_TRIED, stuck))
            continue
        tried = wanted(migration) and _way_back(migration) == ""
        trip = _try(migration, scratch, differences) if tried else _only_up(migration, scratch)
        if wanted(migration) or trip.ended is Ended.FAILED:
            found.append(trip)
        if migration.version not in scratch.applied():
            stuck = f"{migration.version} before it did not go up"
    return found


def _way_back(migration: Migration) -> str:
    """Return why there is none to be tried."""
    if migration.irreversible:
        return "it says that it is irreversible"
    if migration.contract:
        return "a contract migration is never reverted by itself"
    return "" if migration.down is not None else "it has no down"


def _trip(migration: Migration, ended: Ended, why: str = "") -> Trip:
    return Trip(migration=migration, ended=ended, why=why)


def _only_up(migration: Migration, scratch: Scratch) -> Trip:
    try:
        scratch.up(migration.version)
    except OutsideError as error:
        return _trip(migration, Ended.FAILED, f"it does not go up: {_said(error)}")
    return _trip(migration, Ended.NOT_TRIED, _way_back(migration))


def _try(
    migration: Migration,
    scratch: Scratch,
    differences: Callable[[Mapping[str, str], Mapping[str, str]], list[str]],
) -> Trip:
    version, before = migration.version, tuple(scratch.applied())
    schema = scratch.schema()
    notes = list(scratch.seed())
    rows = scratch.rows()
    try:
        if refused := _up_with_rows(version, scratch):
            notes, rows = [*notes, refused], Rows(columns={}, sums={})
    except OutsideError as error:
        return _trip(migration, Ended.FAILED, f"it does not go up: {_said(error)}")
    wrong: list[str] = []
    try:
        scratch.down(version)
    except OutsideError as error:
        wrong.append(f"its down fails: {_said(error)}")
    if not wrong:
        wrong = _left(before, scratch, differences(schema, scratch.schema()), rows)
    try:
        scratch.up(version)
    except OutsideError as error:
        wrong.append(f"after its down it does not go up again: {_said(error)}")
    return Trip(
        migration=migration,
        ended=Ended.FAILED if wrong else Ended.PASSED,
        why="; ".join(wrong),
        notes=tuple(notes),
        tables=len(rows.columns),
    )


def _up_with_rows(version: str, scratch: Scratch) -> str:
    """Go up; where that fails for the rows, which are made up, without them, and say so."""
    try:
        scratch.up(version)
    except OutsideError as error:
        if version in scratch.applied():
            raise
        scratch.unseed()
        scratch.up(version)
        return (
            "with made-up rows in the tables it does not go up, without them it does; rows were "
            f"not compared: {_said(error)}"
        )
    return ""


def _left(before: Sequence[str], scratch: Scratch, different: list[str], rows: Rows) -> list[str]:
    wrong: list[str] = []
    now = scratch.applied()
    if tuple(now) != tuple(before):
        shown = ", ".join(now) or "nothing"
        wrong.append(f"its down reverted something else: applied are now {shown}")
    wrong += different[:TOLD]
    if len(different) > TOLD:
        wrong.append(f"and {len(different) - TOLD} more")
    after = scratch.rows(rows.columns)
    wrong += [
        f"rows of {table} are not as before"
        for table, columns in rows.columns.items()
        if after.columns.get(table) == columns and after.sums.get(table) != rows.sums.get(table)
    ]
    return wrong


def _said(error: OutsideError) -> str:
    """Return what a tool said: of a long tale, how it begins and what was wrong."""
    lines = error.found.splitlines()
    wrong = [line for line in lines[1:] if _WRONG.search(line)]
    if len(lines) > _LONG:
        lines = [lines[0].partition(": ")[0], *(wrong or lines[-_LONG:])]
    return one_line(" ".join(lines), 400)


_WRONG = re.compile(r"error\b", re.IGNORECASE)
_LONG = 3
