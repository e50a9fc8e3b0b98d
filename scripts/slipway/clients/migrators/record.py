"""What releases applied, and what they would lose: tables of the schema `deploy`, and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from psycopg import sql

from slipway.clients.migrators.lock import Connection, Session
from slipway.errors import OutsideError
from slipway.ports import Migration, Probe, Recorded

_MAKE: Final = (
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
            if not exists(connection, "deploy", "migrations"):
                make_schema(connection)
                for statement in _MAKE:
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
            _require_one(connection, probe)
            return count(connection, probe)

    def keyed(self, probe: Probe) -> bool:
        """Return whether the table has a primary key."""
        with self._session.connection() as connection:
            return bool(key_of(connection, probe))


def make_schema(connection: Connection) -> None:
    """Make the schema `deploy` where it is not: IF NOT EXISTS asks for the right to make it even
    where somebody made it for this role."""
    row = connection.execute("SELECT to_regnamespace('deploy') IS NULL").fetchone()
    if row and row[0]:
        connection.execute("CREATE SCHEMA IF NOT EXISTS deploy")


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


def _require_one(connection: Connection, probe: Probe) -> None:
    """Raise where a name without a schema may be of another table than the one found here: a tool
    may set a search path of its own."""
    if probe.schema is not None:
        return
    row = connection.execute(
        "SELECT array_agg(n.nspname::text ORDER BY n.nspname) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %s::name "
        "AND c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_' "
        "AND n.nspname <> 'information_schema' AND pg_has_role(c.relowner, 'MEMBER') "
        "AND (%s::text IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid "
        "AND a.attname = %s::name AND NOT a.attisdropped))",
        (probe.table, probe.column, probe.column),
    ).fetchone()
    schemas = list(row[0] or ()) if row else []
    if len(schemas) > 1:
        raise OutsideError(
            f"which {probe.table} is meant is not known: there is one in {', '.join(schemas)}",
            remedy="Write the schema before the name in migrations, in both directions.",
        )


def count(connection: Connection, probe: Probe) -> int:
    """Count the rows that hold what is looked for."""
    query = sql.SQL("SELECT count(*) FROM {}").format(table_of(probe))
    if probe.column:
        query += sql.SQL(" WHERE {}").format(has_value(probe.column))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def has_value(column: str) -> sql.Composed:
    """Return the condition. A row as a value IS NOT NULL only where none of its fields is."""
    return sql.SQL("{} IS DISTINCT FROM NULL").format(sql.Identifier(column))


def table_of(probe: Probe) -> sql.Identifier:
    """Return the table's name, as the migration writes it."""
    return sql.Identifier(*((probe.schema, probe.table) if probe.schema else (probe.table,)))


def key_of(connection: Connection, probe: Probe) -> Sequence[str]:
    """Return the columns of the primary key, in order."""
    name = table_of(probe).as_string(connection)
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
        "AND a.attnum = ANY(i.indkey) WHERE i.indrelid = to_regclass(%s) AND i.indisprimary "
        "ORDER BY array_position(i.indkey::int2[], a.attnum)",
        (name,),
    ).fetchall()
    return [str(row[0]) for row in rows]


def applied_in(connection: Connection, schema: str | None, table: str, column: str) -> Any:
    """Return what a tool's table of versions holds, in the order of text; none without it."""
    if not exists(connection, schema, table):
        return []
    name = sql.Identifier(*((schema, table) if schema else (table,)))
    query = sql.SQL("SELECT {0}::text FROM {1} ORDER BY {0}::text COLLATE {2}").format(
        sql.Identifier(column), name, sql.Identifier("C")
    )
    return [str(row[0]) for row in connection.execute(query).fetchall()]
