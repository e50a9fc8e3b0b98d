"""The database of the bot: a PostgreSQL, migrated as the build before left it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from sandbox.postgres import Database, Postgres

EVERY = "2s"
"""Between two runs of all checks: in the example it is 30 s."""
NAME = "livestreamsell"


class Stored:
    """The database, and what the bot, slipway.yml and the workflows must know of it."""

    def __init__(self, repository: Path, tools: Path, *, migrates: bool = False) -> None:
        """``migrates``: releases migrate it, and there is no staging, which would be first.

        ``tools``: a directory to be made, with what users install in their workflow: dbmate.
        """
        self.tools = tools
        self._migrates = migrates
        self._remembered: dict[str, str] = {}
        self._migrations = repository / "db" / "migrations"
        self._server = Postgres()
        self.database: Database | None = None
        self._upto = 0

    def start(self) -> None:
        """Start it, with the tables of the migrations that are there by now."""
        self.tools.mkdir()
        (self.tools / "dbmate").symlink_to(Path(sys.executable).with_name("dbmate"))
        self._server.start()
        self.database = self._server.create(NAME)
        migrate(self.database, self._migrations)

    def stop(self) -> None:
        """End it. It may be called again."""
        self._server.stop()

    def environment(self) -> dict[str, str]:
        """Return what the bot is told."""
        return {"DATABASE_URL": self._made.app}

    def secrets(self) -> dict[str, str]:
        """Return the secrets of the workflows."""
        # dbmate asks for TLS unless it is told not to.
        owner = f"{self._made.owner}?sslmode=disable"
        return {"DATABASE_URL": self._made.checks, "MIGRATIONS_URL": owner}

    def settings(self) -> Mapping[str, Any]:
        """Return what slipway.yml says besides."""
        bot: dict[str, Any] = {"data": {"checks": "checks", "every": EVERY}}
        if self._migrates:
            bot |= {
                "staging": None,
                # Nobody ran check-migrations here: it needs a service container.
                "migrations": {"tool": "dbmate", "lossy": "archive", "round-trip": False},
            }
        return {"services": {"bot": bot}}

    def ask(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Return what a query finds, as the owner of the tables."""
        with psycopg.connect(self._made.owner) as owner:
            return owner.execute(query).fetchall()

    def remember(self) -> None:
        """Keep what the tables hold now, to hold it against later."""
        self._upto = 0
        self._remembered = self._rows()

    def changed(self) -> list[str]:
        """Return the tables whose rows, of those that were there, are not as they were."""
        now = self._rows()
        return [name for name, digest in self._remembered.items() if now.get(name) != digest]

    def _rows(self) -> dict[str, str]:
        """Return a digest of the rows of each table; of an order that came later nothing counts."""
        with psycopg.connect(self._made.owner) as owner:
            if not self._upto:
                found = owner.execute("SELECT coalesce(max(id), 0) FROM orders").fetchone()
                self._upto = found[0] if found else 0
            rows = owner.execute(_DIGESTS, [self._upto, self._upto]).fetchall()
        return {name: str(digest) for name, digest in rows}

    @property
    def _made(self) -> Database:
        if self.database is None:
            raise RuntimeError("it is asked for before it was started")
        return self.database


_DIGESTS: Final[LiteralString] = """\
SELECT 'orders', md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o WHERE id <= %s
UNION ALL
SELECT 'order_lines', md5(string_agg(l::text, '|' ORDER BY order_id, position))
FROM order_lines l WHERE order_id <= %s"""
"""Whole rows: a column that is left behind counts too."""


def migrate(database: Database, directory: Path) -> list[str]:
    """Apply every migration of a directory as dbmate would; returns their versions."""
    versions = []
    with psycopg.connect(database.owner) as owner:
        owner.execute("CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)")
        for file in sorted(directory.glob("*.sql")):
            version = file.name.partition("_")[0]
            up = file.read_text().partition("-- migrate:down")[0]
            owner.execute(up.encode())
            owner.execute("INSERT INTO schema_migrations VALUES (%s)", [version])
            versions.append(version)
    return versions
