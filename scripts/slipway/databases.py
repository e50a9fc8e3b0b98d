"""The database of a service: what is checked on it, and what migrates it."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.config import Service
from slipway.errors import UsageError
from slipway.inputs import Inputs
from slipway.ports import Check, Database, Migrator
from slipway.release.journal import Journal
from slipway.setup import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A database, for looking, and what is looked for."""

    database: Database | None = None
    checks: tuple[Check, ...] = ()


def database_of(inputs: Inputs, name: str, service: Service) -> Looked:
    """Return the database of a service with `data`; of others: nothing.

    Raises :class:`UsageError` where its address or its driver is missing, or a file is wrong.
    """
    data = service.data
    if data is None:
        return Looked()
    address = inputs.keys.database
    if not address:
        raise UsageError(
            f"{name} has `data` in slipway.yml, and the input `database-url` is missing or empty",
            remedy="Pass the address of its database, with a role that reads everything and "
            "writes nothing, from a secret.",
        )
    # Imported where there are checks: nothing else has the driver.
    from slipway.clients import check_files  # noqa: PLC0415

    checks = check_files.read(inputs.root / data.checks, shown=data.checks)
    try:
        from slipway.clients.postgres import PostgresChecks  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"the driver of PostgreSQL is missing: {error}",
            remedy="The actions install it where `database-url` is set; in an environment of "
            "your own: pip install -r requirements/data.txt.",
        ) from None
    database = PostgresChecks(address, schemas=data.schemas, timeout=data.timeout)
    return Looked(database=database, checks=checks)


def migrator_of(desk: Desk, journal: Journal) -> Migrator | None:
    """Return what migrates the database of a service with `migrations`; of others: nothing.

    Raises :class:`UsageError` where its address or its driver is missing.
    """
    migrations = desk.service.migrations
    if migrations is None:
        return None
    address = desk.inputs.keys.migrations
    if not address:
        raise UsageError(
            f"{desk.name} has `migrations` in slipway.yml, and the input `migrations-url` is "
            "missing or empty",
            remedy="Pass the address of its database, with the role that owns the tables, from a "
            "secret.",
        )
    if migrations.backup.supabase and not desk.inputs.keys.supabase:
        journal.trouble(
            "`backup.supabase` is set, and `supabase-token` is not: no migration will be reverted "
            "by itself"
        )
    # Imported where there are migrations: nothing else has the driver.
    try:
        from slipway.clients import migrators  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"the driver of PostgreSQL is missing: {error}",
            remedy="The actions install it where `migrations-url` is set; in an environment of "
            "your own: pip install -r requirements/data.txt.",
        ) from None
    return migrators.migrator_of(
        migrations,
        address,
        root=desk.inputs.root,
        environ=desk.inputs.environ,
        clock=desk.clock,
        notice=journal.note,
        proofs=migrators.Proofs(
            round_trips=desk.inputs.round_trips,
            backup_at=desk.inputs.backup_at,
            supabase_token=desk.inputs.keys.supabase,
        ),
    )
