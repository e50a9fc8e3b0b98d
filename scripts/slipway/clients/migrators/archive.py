"""Copies of what a revert would take away, in the schema `deploy`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from psycopg import sql

from slipway.clients.migrators.lock import Connection
from slipway.clients.migrators.record import count, exists, has_value, key_of, make_schema, table_of
from slipway.errors import OutsideError
from slipway.ports import Probe

_LONGEST: Final = 63
"""Characters of a name in Postgres; it cuts what is longer without a word."""


def archive(connection: Connection, version: str, probes: Sequence[Probe]) -> Sequence[str]:
    """Copy what these probes find into the schema `deploy`; returns the names of the copies.

    Inside a transaction of the caller's. Raises :class:`OutsideError` where the copy does not hold
    as many rows as were counted.
    """
    make_schema(connection)
    made: list[str] = []
    tables: dict[tuple[str | None, str], list[Probe]] = {}
    for probe in probes:
        tables.setdefault((probe.schema, probe.table), []).append(probe)
    for (schema, table), found in tables.items():
        whole = [probe for probe in found if probe.column is None]
        name = _free(connection, version, schema, table)
        connection.execute(_copy(connection, name, whole or found))
        _close(connection, name)
        held = Probe(schema="deploy", table=name)
        wanted = [(count(connection, p), _held(connection, held, p)) for p in found]
        if any(there != copied for there, copied in wanted):
            raise OutsideError(
                f"what was copied of {table} is not what is there",
                remedy="Something writes to it. Stop that, then revert by hand.",
            )
        made.append(name)
    return made


@contextmanager
def told(made: Sequence[str]) -> Iterator[None]:
    """Where it fails inside, say that there are copies: nobody knows of them otherwise."""
    try:
        yield
    except OutsideError as error:
        if not made:
            raise
        copies = ", ".join(f"deploy.{name}" for name in made)
        raise OutsideError(
            f"{error.found}; copied had been {copies}", remedy=error.remedy
        ) from None


def _copy(connection: Connection, name: str, probes: Sequence[Probe]) -> sql.Composed:
    columns = [probe.column for probe in probes if probe.column]
    keys = [key for key in key_of(connection, probes[0]) if key not in columns]
    wanted = [*keys, *columns] if columns else list(_types(connection, probes[0]))
    query = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {}").format(
        sql.Identifier("deploy", name),
        _values(_types(connection, probes[0]), wanted),
        table_of(probes[0]),
    )
    if not columns:
        return query
    return query + sql.SQL(" WHERE {}").format(sql.SQL(" OR ").join(map(has_value, columns)))


def _values(types: Mapping[str, bool], wanted: Sequence[str]) -> sql.Composed:
    """Return the columns; those of a type that is not Postgres's own as text: the migration may
    drop the type too, and a later one must not be kept from it by a copy."""
    return sql.SQL(", ").join(
        sql.SQL("{0}" if types.get(name, True) else "{0}::text AS {0}").format(sql.Identifier(name))
        for name in wanted
    )


def _types(connection: Connection, probe: Probe) -> Mapping[str, bool]:
    """Return the columns in order, and whether the type of each is Postgres's own."""
    rows = connection.execute(
        "SELECT a.attname, t.typnamespace = 'pg_catalog'::regnamespace FROM pg_attribute a "
        "JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass(%s) "
        "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (table_of(probe).as_string(connection),),
    ).fetchall()
    return {str(name): bool(own) for name, own in rows}


def _close(connection: Connection, name: str) -> None:
    """Let nobody but the owner read a copy. Its rows may be people's, and neither the rights nor
    the policies of the table came with them; default privileges may have opened it to many."""
    table = sql.Identifier("deploy", name)
    connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))
    granted = connection.execute(
        "SELECT DISTINCT r.rolname FROM pg_class c, aclexplode(c.relacl) a "
        "LEFT JOIN pg_roles r ON r.oid = a.grantee "
        "WHERE c.oid = to_regclass(%s) AND a.grantee <> c.relowner",
        (table.as_string(connection),),
    ).fetchall()
    for (role,) in granted:
        whom = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        connection.execute(sql.SQL("REVOKE ALL ON TABLE {} FROM {}").format(table, whom))


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
