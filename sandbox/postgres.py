"""A PostgreSQL of this process's own: on a free port of loopback, in a directory that goes with it.

It keeps nothing safe (no fsync), as nothing in it is worth keeping. Its roles are those that a team
should have: ``owner`` of the tables, for migrations; ``app``, which writes rows; ``checks``, which
reads everything and writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

from sandbox.demo.processes import end_with_parent

DEBIAN: Final = Path("/usr/lib/postgresql")
READY_WITHIN: Final = 20.0
"""Seconds."""
STOPPED_WITHIN: Final = 10.0
TRIES: Final = 3
"""Of starting: a port that was free may be taken by the time the server asks for it."""
FILE_COPY_SINCE: Final = 150_000
"""The version from which it is not the only way."""
TEMPLATE: Final = "empty"
"""The database that all others are made of."""
ADMIN: Final = "postgres"
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
    "timezone": "UTC",
}
_ROLES: Final[tuple[LiteralString, ...]] = (
    "CREATE ROLE owner LOGIN PASSWORD {}",
    "CREATE ROLE app LOGIN PASSWORD {}",
    "CREATE ROLE checks LOGIN BYPASSRLS PASSWORD {}",
    "GRANT pg_read_all_data TO checks",
    "ALTER ROLE checks SET default_transaction_read_only = on",
)
_RIGHTS: Final[tuple[LiteralString, ...]] = (
    "GRANT USAGE ON SCHEMA public TO app",
    "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app",
    "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT USAGE ON SEQUENCES TO app",
)


class NotInstalled(Exception):
    """There is no PostgreSQL on this machine. ``str()`` says how to get it."""


class NotStarted(Exception):
    """The server did not start. ``str()`` ends with its log."""


def binaries() -> Path:
    """Return the directory of the newest PostgreSQL here. Raises :class:`NotInstalled`."""
    found = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name.split(".")[0]))
    if on_path := shutil.which("initdb"):
        return Path(on_path).parent
    raise NotInstalled("PostgreSQL is missing: run `tools/development postgres`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The addresses of one database, by who asks. Each holds a password."""

    name: str
    admin: str = field(repr=False)
    """A superuser."""
    owner: str = field(repr=False)
    """Owns the database and what migrations make."""
    app: str = field(repr=False)
    """May write rows of the owner's tables."""
    checks: str = field(repr=False)
    """May read everything, past row security, and nothing else."""

    def run(self, statement: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; returns its rows."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


class Postgres:
    """A server. Use it as a context; it ends with this process in any case.

    Start it from the main thread: the kernel takes the thread that started it for its parent.
    """

    def __init__(self) -> None:
        self._bin = binaries()
        self._password = secrets.token_hex(16)
        self._place = Path(tempfile.mkdtemp(prefix="slipway-postgres-"))
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._strategy = sql.SQL("")
        self.port = 0

    def __enter__(self) -> Postgres:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, and remove its directory."""
        self.stop()

    def start(self) -> None:
        """Make a cluster and start it. Raises :class:`NotStarted`."""
        self._initialise()
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                self._launch()
            except NotStarted:
                if last:
                    raise
            else:
                break
        self._prepare()

    def stop(self) -> None:
        """End it at once, and remove its directory. It may be called again."""
        self._end()
        shutil.rmtree(self._place, ignore_errors=True)

    def url(self, user: str, database: str) -> str:
        """Return an address with a password in it."""
        return f"postgresql://{user}:{self._password}@127.0.0.1:{self.port}/{quote(database)}"

    def create(self, name: str = "", *, template: str = TEMPLATE) -> Database:
        """Make a database like ``template``; without a name: a new one."""
        self._made += 1
        name = name or f"database_{self._made}"
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER owner {}")
        names = (sql.Identifier(name), sql.Identifier(template))
        self._run(query.format(*names, self._strategy))
        return Database(
            name=name,
            admin=self.url(ADMIN, name),
            owner=self.url("owner", name),
            app=self.url("app", name),
            checks=self.url("checks", name),
        )

    def drop(self, database: Database) -> None:
        """Remove a database, with whoever is connected to it."""
        name = sql.Identifier(database.name)
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """A new database, for as long as the context is open."""
        made = self.create()
        try:
            yield made
        finally:
            self.drop(made)

    def _run(self, *statements: sql.Composed, database: str = ADMIN) -> None:
        with psycopg.connect(self.url(ADMIN, database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _initialise(self) -> None:
        data, secret = self._place / "data", self._place / "password"
        secret.write_text(self._password)
        secret.chmod(0o600)
        if self._account is not None:
            for path in (self._place, secret):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        arguments = (
            # On loopback, for minutes: the stronger way costs each connection half of its time.
            *("-D", data, "-U", ADMIN, "--pwfile", secret, "--auth=md5"),
            *("--no-sync", "--encoding=UTF8", "--locale=C"),
        )
        done = subprocess.run(
            [self._bin / "initdb", *arguments], timeout=60, check=False, **self._as()
        )
        secret.unlink()
        if done.returncode:
            raise NotStarted(f"initdb ended with {done.returncode}: {self._said()}")

    def _launch(self) -> None:
        self.port = _free_port()
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._place / "data", f"--port={self.port}", *settings],
            start_new_session=True,  # a terminal's Ctrl-C is ours to handle, in order
            # After the change of user, which would take it back. SIGQUIT waits for nobody.
            preexec_fn=partial(end_with_parent, signal.SIGQUIT),  # noqa: PLW1509 - takes no lock
            **self._as(),
        )
        until = time.monotonic() + READY_WITHIN
        while True:
            try:
                psycopg.connect(self.url(ADMIN, ADMIN), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is None and time.monotonic() < until:
                    time.sleep(0.02)
                    continue
                self._end()
                raise NotStarted(f"PostgreSQL did not start: {self._said()}") from None
            return

    def _prepare(self) -> None:
        """Make the roles, and the database that has their rights."""
        secret = sql.Literal(self._password)
        self._run(
            *(sql.SQL(statement).format(secret) for statement in _ROLES),
            sql.SQL("CREATE DATABASE {} OWNER owner").format(sql.Identifier(TEMPLATE)),
        )
        self._run(*(sql.SQL(statement).format() for statement in _RIGHTS), database=TEMPLATE)
        with psycopg.connect(self.url(ADMIN, ADMIN)) as connection:
            if connection.info.server_version >= FILE_COPY_SINCE:
                # Nothing is to survive a crash: files are copied in a quarter of the time.
                self._strategy = sql.SQL("STRATEGY file_copy")

    def _as(self) -> dict[str, Any]:
        """Return how its programs are run: as somebody who is not root, and with a log."""
        log = (self._place / "log").open("ab")
        how: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": subprocess.STDOUT,
            "cwd": self._place,
            "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
        }
        if self._account is not None:
            account = self._account
            how |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return how

    def _said(self) -> str:
        log = self._place / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _account() -> pwd.struct_passwd | None:
    """Return who runs it; ``None``: whoever we are. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NotInstalled("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
