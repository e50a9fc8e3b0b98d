"""What releases applied, and what they would lose: tables of the schema `deploy`, and counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from psycopg import sql

from slipway.clients.migrators.lock import Connection, Session
from slipway.errors import OutsideError
from slipway.ports import Migration, Probe, Recorded

_LONGEST: Final = 63
"""Characters of a name in Postgres; it cuts what is longer without a word."""
_MAKE: Final = (
    "CREATE SCHEMA IF NOT EXISTS deploy",
    "CREATE TABLE IF NOT EXISTS deploy.migrations (version text PRIMARY KEY, "
    "checksum text NOT NULL, release text NOT NULL, applied_at timestamptz)",
    "ALTER TABLE deploy.migrations ENABLE ROW LEVEL SECURITY",
)
"""Row security without a policy: nobody but the owner reads it, whatever an API hands out."""


class Record:
    """``deploy.migrations``, and what is looked for before something is reverted."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lines(self) -> Sequence[Recorded]:
        """Return what was written down, oldest first."""
        with self._session.connection() as connection:
            if not exists(connection, "deploy", "migrations"):
                return ()
            rows = connection.execute(
                "SELECT version, checksum, release, applied_at FROM deploy.migrations "
                "ORDER BY applied_at NULLS LAST, version"
            ).fetchall()
        return [
            Recorded(version=version, checksum=checksum, release=release, applied_at=at)
            for version, checksum, release, at in rows
        ]

    def intend(self, migrations: Sequence[Migration], release: str) -> None:
        """Write down what is about to be applied."""
        with self._session.connection() as connection, connection.transaction():
            for statement in _MAKE if not exists(connection, "deploy", "migrations") else ():
                connection.execute(statement)
            for migration in migrations:
                connection.execute(
                    "INSERT INTO deploy.migrations (version, checksum, release) "
                    "VALUES (%s, %s, %s) ON CONFLICT (version) DO UPDATE SET checksum = "
                    "excluded.checksum, release = excluded.release, applied_at = NULL",
                    (migration.version, migration.checksum, release),
                )

    def confirm(self, versions: Sequence[str]) -> datetime:
        """Write down that these are applied."""
        with self._session.connection() as connection:
            row = connection.execute(
                "WITH done AS (UPDATE deploy.migrations SET applied_at = coalesce(applied_at, "
                "now()) WHERE version = ANY(%s) RETURNING applied_at) SELECT max(applied_at) "
                "FROM done",
                (list(versions),),
            ).fetchone()
        at = row[0] if row else None
        if not isinstance(at, datetime):
            raise OutsideError(
                "the record of migrations in deploy.migrations is gone",
                remedy="Find out who removed it. What was applied stays.",
            )
        return at

    def forget(self, versions: Sequence[str]) -> None:
        """Remove lines."""
        with self._session.connection() as connection:
            if exists(connection, "deploy", "migrations"):
                connection.execute(
                    "DELETE FROM deploy.migrations WHERE version = ANY(%s)", (list(versions),)
                )

    def rows(self, probe: Probe) -> int:
        """Count rows; a row that the role may not see is an error, not a row less."""
        with self._session.connection() as connection, all_rows(connection):
            return count(connection, probe)

    def keyed(self, probe: Probe) -> bool:
        """Return whether the table has a primary key."""
        with self._session.connection() as connection:
            return bool(key_of(connection, probe))


def exists(connection: Connection, schema: str | None, table: str) -> bool:
    """Return whether there is such a table, where the role's search path finds it."""
    name = sql.Identifier(*((schema, table) if schema else (table,))).as_string(connection)
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return bool(row and row[0])


@contextmanager
def all_rows(connection: Connection) -> Iterator[None]:
    """A transaction in which what row security would hide is an error."""
    with connection.transaction():
        connection.execute("SET LOCAL row_security = off")
        yield


def count(connection: Connection, probe: Probe) -> int:
    """Count the rows that hold what is looked for."""
    query = sql.SQL("SELECT count(*) FROM {}").format(_table(probe))
    if probe.column:
        query += sql.SQL(" WHERE {} IS NOT NULL").format(sql.Identifier(probe.column))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _table(probe: Probe) -> sql.Identifier:
    return sql.Identifier(*((probe.schema, probe.table) if probe.schema else (probe.table,)))


def key_of(connection: Connection, probe: Probe) -> Sequence[str]:
    """Return the columns of the primary key, in order."""
    name = _table(probe).as_string(connection)
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
        "AND a.attnum = ANY(i.indkey) WHERE i.indrelid = to_regclass(%s) AND i.indisprimary "
        "ORDER BY array_position(i.indkey::int2[], a.attnum)",
        (name,),
    ).fetchall()
    return [str(row[0]) for row in rows]


def archive(connection: Connection, version: str, probes: Sequence[Probe]) -> Sequence[str]:
    """Copy what these probes find into the schema `deploy`; returns the names of the copies.

    Inside a transaction of the caller's. Raises :class:`OutsideError` where the copy does not hold
    as many rows as were counted.
    """
    connection.execute("CREATE SCHEMA IF NOT EXISTS deploy")
    made: list[str] = []
    tables: dict[tuple[str | None, str], list[Probe]] = {}
    for probe in probes:
        tables.setdefault((probe.schema, probe.table), []).append(probe)
    for (schema, table), found in tables.items():
        whole = [probe for probe in found if probe.column is None]
        name = _free(connection, version, schema, table)
        connection.execute(_copy(connection, name, whole or found))
        held = Probe(schema="deploy", table=name)
        wanted = [(count(connection, p), _held(connection, held, p)) for p in found]
        if any(there != copied for there, copied in wanted):
            raise OutsideError(
                f"what was copied of {table} is not what is there",
                remedy="Something writes to it. Stop that, then revert by hand.",
            )
        made.append(name)
    return made


def _copy(connection: Connection, name: str, probes: Sequence[Probe]) -> sql.Composed:
    columns = [probe.column for probe in probes if probe.column]
    table = _table(probes[0])
    target = sql.Identifier("deploy", name)
    if not columns:
        return sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(target, table)
    keys = [key for key in key_of(connection, probes[0]) if key not in columns]
    return sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WHERE {}").format(
        target,
        sql.SQL(", ").join(sql.Identifier(column) for column in (*keys, *columns)),
        table,
        sql.SQL(" OR ").join(
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(column)) for column in columns
        ),
    )


def _held(connection: Connection, held: Probe, probe: Probe) -> int:
    return count(connection, Probe(schema=held.schema, table=held.table, column=probe.column))


def _free(connection: Connection, version: str, schema: str | None, table: str) -> str:
    """Return a name that is not taken: the same version may have been reverted before."""
    whole = f"archive_{version}_{schema + '_' if schema else ''}{table}"
    for number in range(1, 100):
        tail = f"_{number}" if number > 1 else ""
        name = whole + tail
        if len(name.encode()) > _LONGEST:
            digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
            cut = whole.encode()[: _LONGEST - len(tail) - 9].decode(errors="ignore")
            name = f"{cut}_{digest}{tail}"
        if not exists(connection, "deploy", name):
            return name
    raise OutsideError(
        f"there are a hundred tables deploy.{whole}",
        remedy="Remove those that nobody needs any more.",
    )


def applied_in(connection: Connection, schema: str | None, table: str, column: str) -> Any:
    """Return what a tool's table of versions holds, in the order of text; none without it."""
    if not exists(connection, schema, table):
        return []
    name = sql.Identifier(*((schema, table) if schema else (table,)))
    query = sql.SQL("SELECT {0}::text FROM {1} ORDER BY {0}::text COLLATE {2}").format(
        sql.Identifier(column), name, sql.Identifier("C")
    )
    return [str(row[0]) for row in connection.execute(query).fetchall()]
