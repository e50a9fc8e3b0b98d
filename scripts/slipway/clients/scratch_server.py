"""A database of one's own to ruin: made on a server that holds nothing, and dropped at the end."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict

from slipway.clients.migrators.address import address_of
from slipway.errors import OutsideError, Unreachable, UsageError
from slipway.text import one_line

CONNECT: Final = 5
"""Seconds."""
LOOK: Final = 60
"""Seconds that one question of ours may take."""
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
    with connection_to(url) as connection:
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
    with connection_to(_named(url, "template1" if like != "template1" else "postgres")) as admin:
        _make(admin, name, like)
    try:
        yield _named(url, name)
    finally:
        with suppress(OutsideError, psycopg.Error), connection_to(url) as connection:
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
def connection_to(url: str) -> Iterator[Connection[Any]]:
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
