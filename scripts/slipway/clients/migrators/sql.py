"""Pairs of plain SQL, run by the suite itself: each migration is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from slipway.clients.migrators.archive import archive
from slipway.clients.migrators.folder import single, texts
from slipway.clients.migrators.lock import ALL, Connection, Session
from slipway.clients.migrators.record import applied_in, exists, make_schema
from slipway.errors import OutsideError, UsageError
from slipway.migrations.files import PAIR_NAME, read_pair
from slipway.ports import Migration, Probe

COPYING: Final = "20s"
"""That a statement of a copy may take: nobody reads or writes the table meanwhile."""
TABLE: Final = "applied"
"""In the schema `deploy`, where slipway.yml names no other."""


class PlainSql:
    """Runs the files over its own connection."""

    def __init__(
        self, session: Session, *, root: Path, directory: str, table: str | None, timeout: float
    ) -> None:
        self._session = session
        self._root = root
        self._directory = directory
        self._schema = None if table else "deploy"
        self._table = table or TABLE
        self._timeout = timeout

    def files(self) -> Sequence[Migration]:
        found = dict(texts(self._root, self._directory, PAIR_NAME))
        ups = [name for name in found if name.endswith(".up.sql")]
        downs = {name for name in found if name.endswith(".down.sql")}
        pairs = {name: f"{name.removesuffix('.up.sql')}.down.sql" for name in ups}
        if alone := sorted(downs - set(pairs.values())):
            raise UsageError(
                f"{self._directory}/{alone[0]} reverts nothing: there is no file that applies it",
                remedy="Its name must be that of the other, but for `.down.sql`.",
            )
        return single(
            [
                read_pair(found[up], found.get(down), f"{self._directory}/{up}")
                for up, down in pairs.items()
            ]
        )

    def applied(self) -> Sequence[str]:
        with self._session.connection() as connection:
            return list(applied_in(connection, self._schema, self._table, "version"))

    def apply(self) -> None:
        done = set(self.applied())
        for migration in self.files():
            if migration.version in done:
                continue
            with self._session.connection(self._timeout) as connection:
                self._session.begin_anew(connection)
                self._make_table(connection)
                with connection.transaction():
                    self._execute(connection, migration.up, migration.file)
                    query = sql.SQL("INSERT INTO {} (version) VALUES (%s)")
                    connection.execute(query.format(self._name()), (migration.version,))

    def revert(self, version: str, probes: Sequence[Probe]) -> Sequence[str]:
        found = next((file for file in self.files() if file.version == version), None)
        if found is None or found.down is None:
            raise UsageError(
                f"there is no file that reverts {version}", remedy="Revert it by hand."
            )
        made: Sequence[str] = ()
        within = self._session.connection(ALL + self._timeout)
        with within as connection, connection.transaction():
            if probes:
                connection.execute("SET LOCAL row_security = off")
                connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(COPYING))
                for probe in probes:
                    table = (probe.schema, probe.table) if probe.schema else (probe.table,)
                    query = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
                    connection.execute(query.format(sql.Identifier(*table)))
                made = archive(connection, version, probes)
                connection.execute("SET LOCAL row_security = on")
            self._execute(connection, found.down, found.file)
            query = sql.SQL("DELETE FROM {} WHERE version = %s")
            connection.execute(query.format(self._name()), (version,))
        return made

    def _execute(self, connection: Connection, text: str, file: str) -> None:
        milliseconds = sql.Literal(int(self._timeout * 1000))
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(milliseconds))
        try:
            connection.execute(text.encode())
        except psycopg.Error as error:
            where = f"{file}: {type(error).__name__}: {error.diag.message_primary or error}"
            raise OutsideError(
                f"{where}; the transaction was rolled back", remedy="Mend the file."
            ) from None
        if connection.info.transaction_status is not TransactionStatus.INTRANS:
            raise OutsideError(
                f"{file} ended the transaction that it was run in",
                remedy="Take BEGIN and COMMIT out of the file; what it did before stays.",
            )

    def _make_table(self, connection: Connection) -> None:
        if exists(connection, self._schema, self._table):
            return
        with connection.transaction():
            if self._schema:
                make_schema(connection)
            query = sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (version text PRIMARY KEY, "
                "applied_at timestamptz NOT NULL DEFAULT now())"
            )
            connection.execute(query.format(self._name()))

    def _name(self) -> sql.Identifier:
        return sql.Identifier(*((self._schema, self._table) if self._schema else (self._table,)))
