"""Rows that nobody wrote, for tables that have none: so that a revert that loses rows is seen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql
from psycopg.rows import class_row

from slipway.migrations.trip import Rows

PER_TABLE = 3
_LITERAL = re.compile(r"'((?:[^']|'')*)'::")
_TABLES: LiteralString = """
select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> all(%(schemas)s)
and c.relname <> all(%(tables)s)
and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e') order by c.oid
"""
_COLUMNS: LiteralString = """
select a.attname as name, coalesce(b.typcategory, t.typcategory)::text as category,
format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), null) as base,
a.atttypmod as modifier, a.attnotnull and not (a.atthasdef or a.attidentity <> '') as needed,
a.attgenerated <> '' or a.attidentity = 'a' as always,
array(select enumlabel from pg_enum where enumtypid = a.atttypid order by enumsortorder)::text[]
  as labels,
array(select pg_get_constraintdef(k.oid) from pg_constraint k where k.contype = 'c'
  and (k.contypid = a.atttypid or (k.conrelid = a.attrelid and k.conkey = array[a.attnum])))
  as checks,
f.confrelid as parent, p.attname as key
from pg_attribute a join pg_type t on t.oid = a.atttypid
left join pg_type b on b.oid = t.typbasetype
left join lateral (select * from pg_constraint f where f.contype = 'f' and f.conrelid = a.attrelid
  and a.attnum = any(f.conkey) limit 1) f on true
left join pg_attribute p on p.attrelid = f.confrelid
  and p.attnum = f.confkey[array_position(f.conkey, a.attnum)]
where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped order by a.attnum
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, by the names that it has now."""

    oid: int
    schema: str
    name: str

    @property
    def called(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    category: str
    """Of its type, as pg_type.typcategory has it."""
    base: str
    """Its type, of a domain the one below."""
    modifier: int
    needed: bool
    """Whether an insert must fill it."""
    always: bool
    """Whether an insert may not."""
    labels: list[str]
    checks: list[str]
    parent: int | None
    """The table that it refers to, and the column there."""
    key: str | None


class Seeds:
    """Made-up rows in one database. ``tables`` and ``schemas`` (names) are left alone."""

    def __init__(
        self,
        connection: Connection[Any],
        tables: Sequence[str],
        schemas: Sequence[str] = (),
        seeded: Sequence[Table] = (),
    ) -> None:
        """``connection`` must commit by itself; its statements must have a timeout.

        ``seeded``: what another one had put rows into.
        """
        self._connection = connection
        self._out = {"tables": list(tables), "schemas": list(schemas)}
        self.seeded: list[Table] = list(seeded)

    def seed(self) -> list[str]:
        """Put rows into the tables that have none; returns why into some none could be put."""
        empty = {table: "" for table in self._tables() if not self._count(table)}
        # A table that refers to another has its rows after that: in as many rounds as it takes.
        while empty:
            before = len(empty)
            for table in list(empty):
                empty[table] = self._fill(table)
                if not empty[table]:
                    del empty[table]
                    self.seeded.append(table)
            if len(empty) == before:
                break
        return [f"no rows could be put into {t.called}: {why}" for t, why in empty.items()]

    def unseed(self) -> None:
        """Empty the tables again that had rows put into them."""
        there = {(table.schema, table.name) for table in self._tables()}
        names = [t.quoted for t in self.seeded if (t.schema, t.name) in there]
        if names:
            self._connection.execute(
                sql.SQL("truncate {} cascade").format(sql.SQL(", ").join(names))
            )
        self.seeded = []

    def rows(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> Rows:
        """Return number and checksum of the rows, over these columns or over all."""
        found: dict[str, tuple[str, ...]] = {}
        sums: dict[str, str] = {}
        for table in self._tables():
            if columns is not None and table.called not in columns:
                continue
            there = tuple(column.name for column in self._columns(table))
            asked = there if columns is None else columns[table.called]
            found[table.called] = tuple(name for name in asked if name in there)
            if found[table.called]:
                sums[table.called] = self._sum(table, found[table.called])
        return Rows(columns=found, sums=sums)

    def _tables(self) -> list[Table]:
        rows = self._connection.execute(_TABLES, self._out).fetchall()
        return [Table(oid=oid, schema=schema, name=name) for oid, schema, name in rows]

    def _columns(self, table: Table) -> list[_Column]:
        with self._connection.cursor(row_factory=class_row(_Column)) as cursor:
            return cursor.execute(_COLUMNS, {"oid": table.oid}).fetchall()

    def _count(self, table: Table) -> int:
        """Count the rows, up to as many as are put in."""
        query = sql.SQL("select count(*) from (select from {} limit {}) as found")
        row = self._connection.execute(query.format(table.quoted, PER_TABLE)).fetchone()
        return int(row[0]) if row else 0

    def _sum(self, table: Table, columns: Sequence[str]) -> str:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL(
            "select count(*) || ' ' || md5(coalesce(string_agg(one, ',' order by one), '')) from "
            "(select md5(row({})::text) as one from {}) as found"
        ).format(names, table.quoted)
        row = self._connection.execute(query).fetchone()
        return str(row[0]) if row else ""

    def _fill(self, table: Table) -> str:
        """Return why there is no row in it; empty where there is one at least."""
        why, put = "", 0
        for number in range(1, PER_TABLE + 1):
            # First every column, then only those that must have a value.
            for least in (False, True):
                try:
                    with self._connection.transaction():
                        self._insert(table, number, least=least)
                except psycopg.Error as error:
                    # Its words may hold what a row holds, and the row is ours.
                    why = str(error.diag.message_primary or type(error).__name__)
                else:
                    put += 1
                    break
        return "" if put else why

    def _insert(self, table: Table, number: int, *, least: bool) -> None:
        values: dict[str, sql.Composable] = {}
        for column in self._columns(table):
            if column.always or (least and not column.needed):
                continue
            value = self._value(table, column, number)
            if value is not None:
                values[column.name] = value
        if not values:
            query = sql.SQL("insert into {} default values").format(table.quoted)
        else:
            query = sql.SQL("insert into {} ({}) values ({})").format(
                table.quoted,
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(values.values()),
            )
        self._connection.execute(query)

    def _value(self, table: Table, column: _Column, number: int) -> sql.Composable | None:
        """Return a value; ``None``: its default, or NULL."""
        if column.parent is not None and column.key is not None:
            return self._of_parent(table, column.parent, column.key, number)
        # Where a constraint lists what is allowed, its words are used.
        allowed = column.labels or [
            literal.replace("''", "'")
            for check in column.checks
            for literal in _LITERAL.findall(check)
        ]
        if allowed:
            return sql.Literal(allowed[number % len(allowed)])
        made = _made(column, number)
        return None if made is None else sql.Literal(made)

    def _of_parent(self, table: Table, parent: int, key: str, number: int) -> sql.Composable | None:
        of = next((other for other in self._tables() if other.oid == parent), None)
        there = self._count(of) if of is not None and of.oid != table.oid else 0
        if of is None or there == 0:
            return None
        return sql.SQL("(select {0} from {1} order by {0} limit 1 offset {2})").format(
            sql.Identifier(key), of.quoted, sql.Literal((number - 1) % there)
        )


def _made(column: _Column, number: int) -> str | None:
    """Return a value as text that Postgres reads; ``None`` for a type that is not known."""
    if column.category == "S":
        # Four bytes of the modifier are the length's own.
        room = column.modifier - 4 if column.modifier >= 4 else None
        text = f"row-{number}"
        return text if room is None or room >= len(text) else str(number)[:room]
    if column.category == "D":
        timed = column.base.startswith("time ")
        return f"00:00:{number:02d}" if timed else f"2026-01-{number:02d}"
    of_type = {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "json": f'{{"row": {number}}}',
        "jsonb": f'{{"row": {number}}}',
        "bytea": f"\\x{number:02d}",
        "inet": f"192.0.2.{number}",
        "cidr": f"192.0.2.{number}",
    }
    of_category = {
        "B": "true" if number % 2 else "false",
        "N": str(number),
        "T": f"{number} minutes",
        "A": "{}",
    }
    return of_type.get(column.base) or of_category.get(column.category)
