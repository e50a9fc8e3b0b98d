"""Checks on a PostgreSQL: one SELECT each, in a transaction that can only read.

Each check has a connection, a transaction and a deadline of its own. Its file becomes a subselect,
sent as a single statement: what writes, sets, or is a second statement is refused by the server.
Row security is off for it, which makes the server refuse what it would have hidden: a role that
sees no rows would find nothing wrong.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from os import dup
from typing import Any, Final, Generic, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from slipway.errors import UsageError
from slipway.ports import MOST, Check, Checked, Finding
from slipway.text import one_line

T = TypeVar("T")

CONNECT: Final = 5
"""Seconds, whole ones: libpq takes no others."""
LOCK: Final = "1s"
"""A check waits no longer for a lock, and so nobody waits behind it."""
SLACK: Final = 5.0
"""Seconds beside connecting and the check itself, until the server counts as silent."""
KEYS: Final = 5
"""Keys that are shown."""
LONGEST_KEY: Final = 64
_CONNECTION: Final = {
    "connect_timeout": CONNECT,
    "application_name": "slipway-checks",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Milliseconds in the last, seconds in the others. A dead connection ends by itself so."""
_QUERY: Final = """\
SELECT count(*)::int, (array_agg(left(slipway_key::text, %d)))[1:%d],
  min(pg_typeof(slipway_key)::text)
FROM (SELECT slipway_key FROM (
%s
) AS offending (slipway_key) LIMIT %d) AS counted"""
_SETTINGS: Final[LiteralString] = (
    "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true), "
    "set_config('idle_in_transaction_session_timeout', '60s', true), "
    "set_config('search_path', %s, true), set_config('row_security', 'off', true)"
)
_CAUTIONS: Final[LiteralString] = """\
SELECT rolsuper, rolbypassrls,
  EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^(pg_|information_schema$)'
    AND has_schema_privilege(n.oid, 'USAGE')
    AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
FROM pg_roles WHERE rolname = current_user"""
_INTEGERS: Final = {"smallint", "integer", "bigint"}
_TEXTS: Final = {"text", "character varying", "character", "citext"}
_SHORT_ID: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_QUOTES_NOTHING_OF_A_ROW: Final = ("0A", "25", "42", "53", "54", "55", "57")
"""Classes of errors whose messages name tables, columns and settings, and no value of a row:
https://www.postgresql.org/docs/current/errcodes-appendix.html."""
_LOST: Final = ("08", "57P")
"""The server is gone, or going."""
_REFUSALS: Final = (
    ("password authentication failed", "the password, or the role's name, was not accepted"),
    ("no password supplied", "the address has no password, and the server asks for one"),
    ("no pg_hba.conf entry", "the server lets no such connection in: its host, role or encryption"),
    (
        "does not support SSL",
        "the server has no TLS; where the network is private, add ?sslmode=disable to the address",
    ),
    ("certificate", "the server's certificate was not accepted"),
    ("too many", "the server has too many connections"),
    ("remaining connection slots", "the server has too many connections"),
    ("is starting up", "the server is starting up"),
    ("shutting down", "the server is shutting down"),
    ("Connection refused", "nothing listens at its port"),
    ("timeout expired", f"it did not answer within {CONNECT} s"),
    ("translate host name", "its host's name is not known"),
    ("resolve host", "its host's name is not known"),
    ("Name or service not known", "its host's name is not known"),
    ("Network is unreachable", "there is no way to its network; GitHub's runners have IPv4 only"),
    ("No route to host", "there is no way to its host"),
    ("does not exist", "the database or the role that the address names does not exist"),
)
"""What a failure to connect says somewhere in its text, which also quotes host and role."""


class PostgresChecks:
    """A database, for looking. The address holds a password: it is in no message and no repr."""

    def __init__(self, address: str, *, schemas: Sequence[str], timeout: float) -> None:
        """``timeout``: seconds of a check whose file says nothing else.

        Raises :class:`UsageError` for what is no address.
        """
        self._address = _checked(address)
        self._search_path = ", ".join(f'"{schema}"' for schema in schemas)
        self._timeout = timeout

    def check(self, check: Check) -> Checked:
        """Run one check. What goes wrong is ``ERROR``."""
        timeout = check.timeout or self._timeout
        began = time.monotonic()

        def run(connection: psycopg.Connection) -> Any:
            self._begin(connection, timeout)
            query = _QUERY % (LONGEST_KEY + 1, KEYS, check.sql, MOST + 1)
            # In this protocol a statement is one: a file that closes the parenthesis by itself
            # could add others in the simple one, and end the transaction that may only read.
            return connection.execute(query.encode(), binary=True).fetchone()

        def ended(finding: Finding, **found: Any) -> Checked:
            seconds = time.monotonic() - began
            return Checked(check=check, finding=finding, seconds=seconds, **found)

        try:
            rows, values, kind = self._ask(run, timeout)
        except _Failed as error:
            return ended(Finding.ERROR, why=error.why, unreachable=error.unreachable)
        if not rows:
            return ended(Finding.PASS)
        return ended(Finding.FAIL, rows=min(rows, MOST), keys=_keys(values or (), kind or ""))

    def cautions(self) -> Sequence[str]:
        """Say what the role may do that a check needs not. Nothing where it cannot be asked."""

        def run(connection: psycopg.Connection) -> Any:
            self._begin(connection, self._timeout)
            return connection.execute(_CAUTIONS).fetchone()

        try:
            superuser, bypasses, writes = self._ask(run, self._timeout)
        except (_Failed, TypeError):
            return ()  # the checks themselves will say why
        better = "a role that only reads is safer: see docs/data.md"
        if superuser:
            return (f"the role of `database-url` is a superuser; {better}",)
        found = [f"the role of `database-url` may write; {better}"] if writes else []
        if not bypasses:
            found.append(
                "the role of `database-url` has no BYPASSRLS: checks on tables with row security "
                "that is not its own will end as errors"
            )
        return tuple(found)

    def _begin(self, connection: psycopg.Connection, timeout: float) -> None:
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        limit = f"{max(1, round(timeout * 1000))}ms"
        connection.execute(_SETTINGS, (limit, LOCK, self._search_path))

    def _ask(self, run: Callable[[psycopg.Connection], T], timeout: float) -> T:
        """Run it on a new connection, for as long as it may take. Raises :class:`_Failed`."""
        asked = _Asked(self._address, run)
        asked.start()
        asked.join(CONNECT + timeout + SLACK)
        if asked.is_alive():
            asked.abandon()
            late = CONNECT + timeout + SLACK
            raise _Failed(f"the database did not answer within {late:.0f} s", unreachable=True)
        if asked.failed is not None:
            raise asked.failed
        return asked.found[0]


class _Failed(Exception):
    """Nothing was found out. ``why`` quotes neither the address nor a row."""

    def __init__(self, why: str, *, unreachable: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.unreachable = unreachable


class _Asked(threading.Thread, Generic[T]):
    """One question, in a thread of its own: libpq would wait for ever for a server that hangs."""

    def __init__(self, address: str, run: Callable[[psycopg.Connection], T]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._ask = run
        self._connection: psycopg.Connection | None = None
        self.found: list[T] = []
        self.failed: _Failed | None = None

    def run(self) -> None:
        try:
            self._connection = psycopg.connect(
                self._address, autocommit=True, prepare_threshold=None
            )
        except psycopg.Error as error:
            self.failed = _Failed(_unconnected(error), unreachable=True)
            return
        try:
            self.found = [self._ask(self._connection)]
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")
        except psycopg.Error as error:
            self.failed = _failure(error)
        finally:
            self._connection.close()

    def abandon(self) -> None:
        """Wake it where it waits for the server, so that it ends."""
        with suppress(Exception):  # it may be ending by itself just now
            if self._connection is not None:
                handle = dup(self._connection.fileno())
                with socket.socket(fileno=handle) as waited_for:
                    waited_for.shutdown(socket.SHUT_RDWR)


def _checked(address: str) -> str:
    """Return the address with what a connection of ours needs. Raises :class:`UsageError`."""
    remedy = (
        "Pass it as postgresql://role:password@host:5432/database, from a secret; a password with "
        "signs in it is written percent-encoded."
    )
    try:
        parts = conninfo_to_dict(address)
    except psycopg.Error:  # its text quotes what it could not read
        raise UsageError("the input `database-url` is no address", remedy=remedy) from None
    for part, name in (("host", "host"), ("dbname", "database"), ("user", "role")):
        if not parts.get(part):
            raise UsageError(f"the input `database-url` names no {name}", remedy=remedy)
    ours: dict[str, Any] = dict(_CONNECTION)
    if any(_public(host) for host in str(parts["host"]).split(",")):
        # Without this, libpq goes on in the clear where somebody on the way takes TLS out.
        ours["sslmode"] = parts.get("sslmode") or "require"
    try:
        return make_conninfo(address, **ours)
    except psycopg.Error:
        raise UsageError("the input `database-url` is no address", remedy=remedy) from None


def _public(host: str) -> bool:
    """Whether others are on the way to it. A name without a dot is of this machine or network."""
    try:
        return not ip_address(host).is_private
    except ValueError:
        return "." in host and not host.startswith("/")


def _unconnected(error: psycopg.Error) -> str:
    said = str(error)
    why = next((why for part, why in _REFUSALS if part in said), "connecting to it failed")
    return f"the database cannot be reached: {why}"


def _failure(error: psycopg.Error) -> _Failed:
    state = error.sqlstate or ""
    if not state or state.startswith(_LOST):
        return _Failed("the connection to the database was lost", unreachable=True)
    if state == "57014":
        return _Failed("it took longer than it may: its `-- timeout:` or `data.timeout` sets that")
    said = error.diag.message_primary or ""
    if not state.startswith(_QUOTES_NOTHING_OF_A_ROW):
        # A cast that fails quotes the value, which may belong to a person.
        return _Failed(f"the database said {type(error).__name__} ({state})")
    if state == "42501" and "row-level security" in said:
        said += "; give the role BYPASSRLS, or it would see no rows and find nothing wrong"
    return _Failed(one_line(f"the database said: {said} ({state})", 300))


def _keys(values: Sequence[str | None], kind: str) -> tuple[str, ...]:
    """Return what looks like the key of a row: numbers, UUIDs, short ids; else nothing."""
    return tuple(value for value in values if value is not None and _is_key(value, kind))


def _is_key(value: str, kind: str) -> bool:
    if kind in _INTEGERS or kind == "uuid":
        return True
    if kind not in _TEXTS:
        return False
    with suppress(ValueError):
        return bool(UUID(value))
    # Digits alone, or with hyphens, may be a telephone number or a date of birth.
    plain = any(letter.isalpha() for letter in value) or len(value) < 7
    return plain and _SHORT_ID.fullmatch(value) is not None
