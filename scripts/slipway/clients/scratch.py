"""The migrations of a checkout, brought to and fro on a database that nobody needs."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from psycopg import sql

from slipway.clients.catalogue import objects
from slipway.clients.migrators import Migrating, alembic, dbmate, migrator_of
from slipway.clients.migrators import sql as pairs
from slipway.clients.migrators.address import address_of
from slipway.clients.migrators.process import Tool
from slipway.clients.scratch_server import PLATFORM, connection_to
from slipway.clients.seeds import Seeds
from slipway.config import Migrations
from slipway.errors import OutsideError
from slipway.migrations.trip import Rows
from slipway.ports import Clock, Migration

_ADDRESS: Final = re.compile(r"\s*postgres(ql)?(\+\w+)?://", re.IGNORECASE)
_OF_LIBPQ: Final = re.compile(
    "PG(HOST|HOSTADDR|PORT|DATABASE|USER|PASSWORD|PASSFILE|SERVICE|SERVICEFILE)"
)
_ROOM: Final = 5.0
"""Seconds that the lock of migrations is waited for: nobody else knows this database."""


def _leads_elsewhere(name: str, value: str) -> bool:
    """Whether a variable of the job is of another database: an ``env.py`` that reads that one
    would try there what is only to be tried here."""
    return bool(_OF_LIBPQ.fullmatch(name) or _ADDRESS.match(value))


class ScratchDatabase:
    """A database and the migrations of a checkout, brought to and fro one at a time.

    A context: it holds connections and a directory with the files so far.
    """

    def __init__(
        self,
        settings: Migrations,
        url: str,
        *,
        root: Path,
        environ: Mapping[str, str],
        clock: Clock,
        notice: Callable[[str], None],
    ) -> None:
        """``url``: of :func:`fresh`. ``environ``: what the tool is started with."""
        self._settings = settings
        self._url = url
        self._root = root
        self._environ = {k: v for k, v in environ.items() if not _leads_elsewhere(k, v)}
        self._clock = clock
        self._notice = notice
        self._files: Sequence[Migration] = ()
        self._directory = Path(tempfile.mkdtemp(prefix="slipway-migrations-"))
        default = {"dbmate": dbmate.TABLE, "alembic": alembic.TABLE, "sql": pairs.TABLE}
        self._table = settings.table or default[settings.tool]
        # What a release writes down lies beside what the plain pairs keep.
        self._schemas = ("deploy",)
        self._seeds: Seeds | None = None
        self._whole = self._migrator(root)
        """Of all files. Alembic is asked once what there is: each time takes it half a second."""

    def __enter__(self) -> ScratchDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def files(self) -> Sequence[Migration]:
        """Return what the checkout holds, oldest first."""
        if not self._files:
            self._files = self._whole.files()
        return self._files

    def applied(self) -> Sequence[str]:
        """Return the versions that the database has."""
        schema = "deploy" if self._settings.tool == "sql" and not self._settings.table else None
        name = sql.Identifier(*((schema, self._table) if schema else (self._table,)))
        column = "version_num" if self._settings.tool == "alembic" else "version"
        with connection_to(self._url) as connection:
            there = connection.execute(
                "select to_regclass(%s)", (name.as_string(connection),)
            ).fetchone()
            if there is None or there[0] is None:
                return []
            query = sql.SQL("select {0}::text from {1} order by {0}::text collate {2}")
            rows = connection.execute(
                query.format(sql.Identifier(column), name, sql.Identifier("C"))
            ).fetchall()
        found = [str(row[0]) for row in rows]
        if self._settings.tool != "alembic":
            return found
        # Alembic keeps the newest only.
        order = [file.version for file in self.files()]
        known = all(version in order for version in found)
        return order[: max(map(order.index, found)) + 1] if found and known else found

    def up(self, version: str) -> None:
        """Apply all migrations up to this one."""
        if self._settings.tool == "alembic":
            self._upgrade(version)
            return
        migrator = self._upto(version)
        with migrator.locked():
            migrator.apply()

    def down(self, version: str) -> None:
        """Revert this one, the newest."""
        migrator = self._upto(version)
        with migrator.locked():
            migrator.revert(version)

    def schema(self) -> Mapping[str, str]:
        """Return the definition of every object."""
        with connection_to(self._url) as connection:
            return objects(connection, self._own, self._schemas)

    def seed(self) -> Sequence[str]:
        """Put rows into the tables that have none."""
        with self._seeding() as seeds:
            return seeds.seed()

    def unseed(self) -> None:
        """Take those rows out again."""
        with self._seeding() as seeds:
            seeds.unseed()

    def rows(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> Rows:
        """Look at the rows."""
        with self._seeding() as seeds:
            return seeds.rows(columns)

    @property
    def _own(self) -> tuple[str, ...]:
        return () if self._settings.tool == "sql" and not self._settings.table else (self._table,)

    @contextmanager
    def _seeding(self) -> Iterator[Seeds]:
        with connection_to(self._url) as connection:
            old = self._seeds.seeded if self._seeds else ()
            self._seeds = Seeds(connection, self._own, (*self._schemas, *PLATFORM), old)
            yield self._seeds

    def _migrator(self, root: Path) -> Migrating:
        return migrator_of(
            self._settings,
            self._url,
            root=root,
            environ=self._environ,
            clock=self._clock,
            notice=self._notice,
            wait=_ROOM,
        )

    def _upto(self, version: str) -> Migrating:
        """Return the tool with the files up to this version, and no later ones."""
        if self._settings.tool == "alembic":
            return self._whole
        for file in self.files():
            for path in self._parts(file):
                target = self._directory / path.relative_to(self._root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            if file.version == version:
                break
        return self._migrator(self._directory)

    def _parts(self, file: Migration) -> list[Path]:
        path = self._root / file.file
        if self._settings.tool != "sql":
            return [path]
        down = path.with_name(f"{path.name.removesuffix('.up.sql')}.down.sql")
        return [path, down] if down.exists() else [path]

    def _upgrade(self, version: str) -> None:
        tool = Tool(
            name="alembic",
            install=alembic.INSTALL,
            address=address_of(self._url),
            environ=self._environ,
            clock=self._clock,
            notice=self._notice,
        )
        said = tool.run(
            ["-c", "alembic.ini", "upgrade", version],
            cwd=self._root / self._settings.directory,
            timeout=self._settings.timeout,
        )
        if said.code:
            raise OutsideError(
                f"alembic upgrade failed ({said.code}): {said.last}",
                remedy="Mend the revision that it names. `env.py` must read DATABASE_URL.",
            )
