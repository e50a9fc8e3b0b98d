"""The database of the bot: a PostgreSQL, migrated as the build before left it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from sandbox.postgres import Database, Postgres

EVERY = "2s"
"""Between two runs of all checks: in the example it is 30 s."""
NAME = "livestreamsell"


class Stored:
    """The database, and what the bot, slipway.yml and the workflows must know of it."""

    def __init__(self, repository: Path) -> None:
        self._migrations = repository / "db" / "migrations"
        self._server = Postgres()
        self.database: Database | None = None

    def start(self) -> None:
        """Start it, with the tables of the migrations that are there by now."""
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
        return {"DATABASE_URL": self._made.checks, "MIGRATIONS_URL": self._made.owner}

    def settings(self) -> Mapping[str, Any]:
        """Return what slipway.yml says besides."""
        return {"services": {"bot": {"data": {"checks": "checks", "every": EVERY}}}}

    @property
    def _made(self) -> Database:
        if self.database is None:
            raise RuntimeError("it is asked for before it was started")
        return self.database


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
