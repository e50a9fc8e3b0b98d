"""The migration tools of users, and the database that they migrate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from slipway.clients.migrators import alembic, dbmate
from slipway.clients.migrators.address import address_of
from slipway.clients.migrators.lock import PATIENCE, SILENCE, Session
from slipway.clients.migrators.process import Tool
from slipway.clients.migrators.record import Record
from slipway.clients.migrators.sql import PlainSql
from slipway.clients.migrators.supabase import API, newest_backup
from slipway.config import Migrations
from slipway.errors import OutsideError
from slipway.ports import Clock, Migration, Migrator, Probe, Recorded

LOCK_WAIT = 300.0
"""Seconds that somebody else's migration is waited for."""


class Adapter(Protocol):
    """One migration tool. Errors as of :class:`slipway.ports.Migrator`."""

    def files(self) -> Sequence[Migration]:
        """Return what the checkout holds, oldest first."""
        ...

    def applied(self) -> Sequence[str]:
        """Return what the database has, oldest first."""
        ...

    def apply(self) -> None:
        """Apply all that is pending."""
        ...

    def revert(self, version: str, probes: Sequence[Probe]) -> Sequence[str]:
        """Revert the newest; what ``probes`` name is copied first. Returns what the copies are
        called."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What speaks for reverting, from outside the database."""

    round_trips: Mapping[str, str] = field(default_factory=dict)
    """By version, the checksum with which it went there and back."""
    backup_at: datetime | None = None
    supabase_token: str | None = field(default=None, repr=False)
    supabase_url: str = API


class Migrating(Migrator):
    """A tool and its database, as one."""

    def __init__(
        self, adapter: Adapter, session: Session, *, proofs: Proofs, project: str | None
    ) -> None:
        self._adapter = adapter
        self._session = session
        self._record = Record(session)
        self._proofs = proofs
        self._project = project

    def files(self) -> Sequence[Migration]:
        """Read the checkout."""
        return self._adapter.files()

    def applied(self) -> Sequence[str]:
        """Ask the database."""
        return self._adapter.applied()

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock."""
        return self._session.locked()

    def apply(self) -> None:
        """Apply all that is pending."""
        self._session.require_lock()
        self._adapter.apply()
        self._session.require_lock()

    def revert(self, version: str, archive: Sequence[Probe] = ()) -> Sequence[str]:
        """Revert the newest, where it is this one."""
        self._session.require_lock()
        newest = self._adapter.applied()[-1:]
        if list(newest) != [version]:
            raise OutsideError(
                f"the newest migration is {', '.join(newest) or 'none'}, and not {version}",
                remedy="Somebody migrated meanwhile. Revert by hand.",
            )
        return self._adapter.revert(version, archive)

    def recorded(self) -> Sequence[Recorded]:
        """Read ``deploy.migrations``."""
        return self._record.lines()

    def intend(self, migrations: Sequence[Migration], release: str) -> None:
        """Write down what is about to be applied."""
        self._session.require_lock()
        self._record.intend(migrations, release)

    def confirm(self, versions: Sequence[str]) -> datetime:
        """Write down that these are applied."""
        return self._record.confirm(versions)

    def forget(self, versions: Sequence[str]) -> None:
        """Remove their lines."""
        self._record.forget(versions)

    def rows(self, probe: Probe) -> int:
        """Count."""
        return self._record.rows(probe)

    def keyed(self, probe: Probe) -> bool:
        """Look for a primary key."""
        return self._record.keyed(probe)

    def round_trip(self, version: str) -> str | None:
        """Look it up in what this run of the workflow found."""
        return self._proofs.round_trips.get(version)

    def backup_at(self) -> datetime | None:
        """Ask Supabase, where slipway.yml names a project; else say what the input says."""
        if self._project is None:
            return self._proofs.backup_at
        token = self._proofs.supabase_token
        if token is None:
            return None
        return newest_backup(self._project, token, self._proofs.supabase_url)


def migrator_of(
    settings: Migrations,
    url: str,
    *,
    root: Path,
    environ: Mapping[str, str],
    clock: Clock,
    notice: Callable[[str], None],
    proofs: Proofs | None = None,
    wait: float = LOCK_WAIT,
    patience: float = PATIENCE,
    silence: float = SILENCE,
) -> Migrating:
    """Return the tool that slipway.yml names. Nothing is called yet.

    ``root``: of the checkout. ``environ``: what the tool is started with. ``wait``: seconds for the
    lock; ``patience``: that a migration may wait for a table, with everybody behind it;
    ``silence``: after which a server that has not answered in time is left. Raises
    :class:`slipway.errors.UsageError` for an address that is none.
    """
    address = address_of(url)
    session = Session(
        address, clock=clock, notice=notice, wait=wait, patience=patience, silence=silence
    )
    return Migrating(
        adapter_of(
            settings,
            session,
            tool=lambda name, install: Tool(
                name=name,
                install=install,
                address=address,
                environ=environ,
                clock=clock,
                notice=notice,
            ),
            root=root,
        ),
        session,
        proofs=proofs or Proofs(),
        project=settings.backup.supabase,
    )


def adapter_of(
    settings: Migrations, session: Session, *, tool: Callable[[str, str], Tool], root: Path
) -> Adapter:
    """Return the adapter of the tool; ``tool`` makes what runs a program, of its name."""
    directory, table, timeout = settings.directory, settings.table, settings.timeout
    if settings.tool == "sql":
        return PlainSql(session, root=root, directory=directory, table=table, timeout=timeout)
    if settings.tool == "dbmate":
        return dbmate.Dbmate(
            tool("dbmate", dbmate.INSTALL),
            session,
            root=root,
            directory=directory,
            table=table,
            timeout=timeout,
        )
    return alembic.Alembic(
        tool("alembic", alembic.INSTALL),
        session,
        root=root,
        directory=directory,
        table=table,
        timeout=timeout,
    )
