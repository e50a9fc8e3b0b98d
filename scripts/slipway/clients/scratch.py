"""A database of one's own to ruin: made on a server that holds nothing, and dropped at the end."""

from __future__ import annotations

import ipaddress
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict

from slipway.clients.catalogue import objects
from slipway.clients.migrators import Migrating, alembic, dbmate, migrator_of
from slipway.clients.migrators import sql as pairs
from slipway.clients.migrators.address import address_of
from slipway.clients.migrators.process import Tool
from slipway.clients.seeds import Seeds
from slipway.config import Migrations
from slipway.errors import OutsideError, Unreachable, UsageError
from slipway.migrations.trip import Rows
from slipway.ports import Clock, Migration
from slipway.text import one_line

CONNECT: Final = 5
"""Seconds."""
LOOK: Final = 60
"""Seconds that one question of ours may take."""
_ROOM: Final = 5.0
"""Seconds that the lock of migrations is waited for: nobody else knows this database."""
_OF_OTHERS: Final = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'm', 'v') and n.nspname !~ '^pg_'
and n.nspname <> 'information_schema' and n.nspname <> all(%s)
and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e') limit 1
"""
PLATFORM: Final = (
    "auth",
    "storage",
    "realtime",
    "_realtime",
    "extensions",
    "graphql",
    "graphql_public",
    "vault",
    "pgsodium",
    "net",
    "cron",
    "supabase_functions",
    "supabase_migrations",
    "pgbouncer",
    "_analytics",
    "_supavisor",
)
"""Schemas that Supabase's own image has before anybody has made a table."""


@contextmanager
def fresh(url: str, others: Mapping[str, str]) -> Iterator[str]:
    """Make a database beside that of ``url``, like it, and yield its address; drop it at the end.

    The database of ``url`` is only looked at: that it holds no table of anybody's. ``others``: the
    addresses of databases that matter, by the name of their input; none may be on that server.
    Raises :class:`UsageError` for a server that is not to be ruined, :class:`OutsideError` where
    the server does not do it.
    """
    _checked(url, others)
    name = f"slipway_scratch_{secrets.token_hex(6)}"
    with _connection(url) as connection:
        taken = connection.execute(_OF_OTHERS, (list(PLATFORM),)).fetchone()
        if taken is not None:
            raise UsageError(
                f"the database of `scratch-url` holds {one_line(str(taken[0]), 100)}: it is not "
                "one to be ruined",
                remedy="Pass the address of an empty database, on a server that is there for this "
                "job only: a service container.",
            )
        like = connection.info.dbname
    # From another one: nobody may be connected to the one that is copied.
    with _connection(_named(url, "template1" if like != "template1" else "postgres")) as admin:
        _make(admin, name, like)
    try:
        yield _named(url, name)
    finally:
        with suppress(OutsideError, psycopg.Error), _connection(url) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


def _checked(url: str, others: Mapping[str, str]) -> None:
    try:
        address_of(url)
    except UsageError as error:
        found = error.found.replace("`migrations-url`", "`scratch-url`")
        raise UsageError(found, remedy=error.remedy) from None
    for name, other in others.items():
        if _server(url) & _server(other):
            raise UsageError(
                f"`scratch-url` is on the server of `{name}`",
                remedy="What is tried there may be ruined. Use a service container of the job.",
            )


def _server(url: str) -> set[tuple[str, str]]:
    """Return address and port, of every address that the name of the host has here."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return set()
    host, port = str(parts.get("host") or "").lower(), str(parts.get("port") or "5432")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port)}
    except (OSError, UnicodeError):
        found = set()
    # This machine has many addresses that are all the same.
    own = {"this machine" for one in found if ipaddress.ip_address(one).is_loopback}
    return {(one, port) for one in {host, *found, *own}}


def _named(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{quote(database, safe='')}").geturl()


@contextmanager
def _connection(url: str) -> Iterator[Connection[Any]]:
    """Return a connection in autocommit. Raises :class:`OutsideError`, with no address in it."""
    clean = address_of(url).clean
    try:
        connection = psycopg.connect(
            url, autocommit=True, prepare_threshold=None, connect_timeout=CONNECT
        )
    except psycopg.Error as error:
        raise Unreachable(
            f"the server of `scratch-url` cannot be reached: {one_line(clean(str(error)), 300)}",
            remedy="Give the service container a health check, so that the job waits for it, and "
            "map its port.",
        ) from None
    try:
        connection.execute(sql.SQL("set statement_timeout = {}").format(sql.Literal(LOOK * 1000)))
        yield connection
    except psycopg.Error as error:
        raise OutsideError(
            f"the scratch database says: {one_line(clean(str(error)), 300)}",
            remedy="Its role must own the database; a service container's superuser does.",
        ) from None
    finally:
        connection.close()


def _make(admin: Connection[Any], name: str, like: str) -> None:
    query = sql.SQL("create database {} template {}")
    try:
        admin.execute(query.format(sql.Identifier(name), sql.Identifier(like)))
    except errors.InsufficientPrivilege:
        raise UsageError(
            "the role of `scratch-url` may not create databases",
            remedy="Use the superuser of a service container, or ALTER ROLE … CREATEDB.",
        ) from None
    except errors.ObjectInUse:
        raise OutsideError(
            "somebody is connected to the database of `scratch-url`, so it cannot be copied",
            remedy="Pass another empty database of that server.",
        ) from None


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
        self._environ = environ
        self._clock = clock
        self._notice = notice
        self._files: Sequence[Migration] = ()
        self._directory = Path(tempfile.mkdtemp(prefix="slipway-migrations-"))
        default = {"dbmate": dbmate.TABLE, "alembic": alembic.TABLE, "sql": pairs.TABLE}
        self._table = settings.table or default[settings.tool]
        # What a release writes down lies beside what the plain pairs keep.
        self._schemas = ("deploy",)
        self._seeds: Seeds | None = None

    def __enter__(self) -> ScratchDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def files(self) -> Sequence[Migration]:
        """Return what the checkout holds, oldest first."""
        if not self._files:
            self._files = self._migrator(self._root).files()
        return self._files

    def applied(self) -> Sequence[str]:
        """Return the versions that the database has."""
        schema = "deploy" if self._settings.tool == "sql" and not self._settings.table else None
        name = sql.Identifier(*((schema, self._table) if schema else (self._table,)))
        column = "version_num" if self._settings.tool == "alembic" else "version"
        with _connection(self._url) as connection:
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
        with _connection(self._url) as connection:
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
        with _connection(self._url) as connection:
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
            return self._migrator(self._root)
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
