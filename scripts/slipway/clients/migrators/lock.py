"""One connection to the database that is migrated, and the lock that is held on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import dup
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from slipway.clients.migrators.address import Address
from slipway.errors import OutsideError, Unreachable
from slipway.ports import Clock
from slipway.text import one_line

KEY: Final = "deploy-migrations"
"""Hashed by Postgres: whoever migrates this database with the suite holds it."""
CONNECT: Final = 5
"""Seconds."""
LOOK: Final = 60.0
"""Seconds that a question of ours may take: counting a large table is one."""
PATIENCE: Final = 10.0
"""Seconds that a migration may wait for the lock of a table: everybody who comes after it waits
behind it."""
ALL: Final = 5 * LOOK
"""Seconds that all questions of ours at one time may take."""
SILENCE: Final = 60.0
"""Seconds after the time that anything may take, until the server counts as silent."""
TRY: Final = 0.5
"""Seconds between two tries to get the lock."""
PROGRESS: Final = 15.0
"""Seconds between lines of the log while somebody else holds it."""

_HELD: Final = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND pid = pg_backend_pid() AND objid::bigint = (hashtext(%s)::bigint & 4294967295))"
)
_SILENT: Final = 30_000
"""Milliseconds that what was sent may stay without an answer of the other machine."""

Connection = psycopg.Connection[TupleRow]


class Session:
    """A connection that is made when it is needed, and made again where it was lost."""

    def __init__(
        self,
        address: Address,
        *,
        clock: Clock,
        notice: Callable[[str], None],
        wait: float,
        patience: float = PATIENCE,
        silence: float = SILENCE,
    ) -> None:
        self._address = address
        self._clock = clock
        self._notice = notice
        self._wait = wait
        self.patience = patience
        self._silence = silence
        self._connection: Connection | None = None
        self._depth = 0
        self._holds: Connection | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock. Waits for it ``wait`` seconds at most."""
        self._depth += 1
        try:
            if self._depth == 1:
                self._take()
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._drop()

    def require_lock(self) -> None:
        """Raise where the connection that held the lock was lost: somebody else may hold it now."""
        try:
            held = self._holds if self._holds is self._connection else None
            # A pooler may have gone on with another session behind the same connection.
            if held is not None and _one(held, _HELD, KEY):
                return
        except psycopg.Error:
            pass
        raise OutsideError(
            "the connection that held the lock of migrations was lost",
            remedy="Release again: what is applied is found.",
        )

    @contextmanager
    def connection(self, within: float = ALL) -> Iterator[Connection]:
        """Return the connection, in autocommit. What goes wrong on it is an outside error.

        ``within``: seconds that what is asked may take. A server that has said nothing by then, and
        for as long as silence is borne, is left.

        Outside :meth:`locked` it is closed again: a release lasts longer than a pooler likes.
        """
        try:
            connection = self._connect()
            with _left_after(connection, within + self._silence):
                yield connection
        except psycopg.Error as error:
            raise self._failed(error) from None
        finally:
            if not self._depth:
                self._drop()

    def _drop(self) -> None:
        """Close it. The lock goes with the session."""
        connection, self._connection, self._holds = self._connection, None, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _connect(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            try:
                self._connection = psycopg.connect(
                    self._address.url,
                    autocommit=True,
                    prepare_threshold=None,
                    connect_timeout=CONNECT,
                    application_name="slipway-migrations",
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                    tcp_user_timeout=_SILENT,
                )
            except psycopg.Error as error:
                raise Unreachable(
                    f"the database of `migrations-url` cannot be reached: {self._say(error)}",
                    remedy="See that it is up, that its address is right, and that this runner may "
                    "connect: GitHub's have IPv4 only.",
                ) from None
            self._settle(self._connection)
        return self._connection

    def _settle(self, connection: Connection) -> None:
        for setting, seconds in (("statement_timeout", LOOK), ("lock_timeout", self.patience)):
            limit = sql.Literal(int(seconds * 1000))
            connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(setting), limit))
        # It holds the lock while a tool works for minutes. Postgres 14 and newer have it.
        connection.execute(
            "SELECT set_config(name, '0', false) FROM pg_settings "
            "WHERE name = 'idle_session_timeout'"
        )

    def begin_anew(self, connection: Connection) -> None:
        """Take back what a migration has set for the session: each was tried in one of its own."""
        for statement in ("RESET SESSION AUTHORIZATION", "RESET ALL", "DISCARD TEMP"):
            connection.execute(statement.encode())
        self._settle(connection)

    def _take(self) -> None:
        began = told = self._clock.monotonic()
        with self.connection(self._wait) as connection:
            while not _one(connection, "SELECT pg_try_advisory_lock(hashtext(%s))", KEY):
                now = self._clock.monotonic()
                if now - began >= self._wait:
                    raise OutsideError(
                        f"somebody else has been migrating this database for {now - began:.0f} s"
                        f"{self._holder(connection)}",
                        remedy="Wait until that has ended, then release again.",
                    )
                if told == began or now - told >= PROGRESS:
                    told = now
                    self._notice(f"waiting for the lock of migrations{self._holder(connection)}")
                self._clock.sleep(TRY)
            self._holds = connection

    @staticmethod
    def _holder(connection: Connection) -> str:
        found = connection.execute(
            "SELECT a.application_name, a.backend_start::text FROM pg_locks l "
            "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
            "AND l.objid::bigint = (hashtext(%s)::bigint & 4294967295) LIMIT 1",
            (KEY,),
        ).fetchone()
        return f" (held by {one_line(found[0], 60)}, since {found[1]})" if found else ""

    def _failed(self, error: psycopg.Error) -> OutsideError:
        return OutsideError(
            f"the database says: {self._say(error)}",
            remedy="See that the role of `migrations-url` owns the tables, and what holds their "
            "locks.",
        )

    def _say(self, error: psycopg.Error) -> str:
        return one_line(self._address.clean(str(error)) or type(error).__name__, 300)


@contextmanager
def _left_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Wake who waits for a server that hangs: libpq would for ever, and no signal ends that."""

    def leave() -> None:
        with suppress(Exception), socket.socket(fileno=dup(connection.fileno())) as waited_for:
            waited_for.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _one(connection: Connection, query: str, *values: Any) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
