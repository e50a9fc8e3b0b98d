"""A team's repository with migrations, its database, and a release of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from sandbox.postgres import Database
from slipway.clients.clock import SystemClock
from slipway.clients.migrators import Migrating, Proofs, migrator_of
from slipway.config import Migrations
from slipway.ports import Check, Checked, Finding
from slipway.release import migrating
from slipway.release.deploys import Ports
from slipway.release.journal import Journal
from slipway.release.migrating import Expanded, Reverted
from tests.database.written import BIN, Tool, Written

RELEASE = "700.1-abcdef123456"


@dataclass
class Team(Written):
    """What a team has: a checkout, a database, and what slipway.yml says."""

    root: Path
    database: Database
    tool: Tool = "sql"
    keys: dict[str, Any] = field(default_factory=dict)
    """Of `migrations` in slipway.yml."""
    backup_at: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    proven: bool = True
    """Whether every file went there and back."""
    trips: dict[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(
        default_factory=lambda: {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent"}
    )
    wait: float = 20.0
    patience: float = 10.0
    silence: float = 60.0
    said: list[str] = field(default_factory=list)
    last: str | None = None
    _made: tuple[Any, Migrating] | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        return f"{self.database.owner}?sslmode=disable"

    @property
    def settings(self) -> Migrations:
        return Migrations(tool=self.tool, **self.keys)

    def migrator(self) -> Migrating:
        """Return one; a new one where the files or what is said of them are others. A release has
        one: Alembic is asked once what there is, which takes its time."""
        files = [(file, file.stat().st_mtime_ns) for file in sorted(self.directory.glob("**/*.*"))]
        asked = (files, dict(self.keys), self.backup_at, self.environ, self.wait, id(self.trips))
        if self._made is None or self._made[0] != asked:
            self._made = (asked, self._new())
        return self._made[1]

    def _new(self) -> Migrating:
        return migrator_of(
            self.settings,
            self.url,
            root=self.root,
            environ=self.environ,
            clock=SystemClock(),
            notice=self.said.append,
            proofs=Proofs(round_trips=self.trips, backup_at=self.backup_at),
            wait=self.wait,
            patience=self.patience,
            silence=self.silence,
        )

    def ports(self) -> Ports:
        """Return what a release calls; all but the migrator is never asked."""
        clock = SystemClock()
        nothing: Any = None
        journal = Journal(clock, lambda entry: self.said.append(entry.text))
        return Ports(
            platform=nothing,
            prober=nothing,
            kept=nothing,
            browser=nothing,
            clock=clock,
            journal=journal,
            ledger=nothing,
            gate=nothing,
            poll=0.1,
            confirm=0.1,
            migrator=self.migrator(),
        )

    def preflight(self) -> None:
        migrating.preflight(self.ports(), self.settings)

    def expand(self, release: str = RELEASE) -> Expanded | None:
        return migrating.expand(self.ports(), self.settings, release)

    def expanded(self, release: str = RELEASE) -> Expanded:
        done = self.expand(release)
        assert done is not None
        return done

    def revert(
        self,
        expanded: Expanded,
        *,
        failing: Sequence[Checked] | None = None,
        serving: Sequence[str] = (),
        share: float | None = 0,
        ports: Ports | None = None,
    ) -> Reverted:
        if self.proven:
            self.trips |= {m.version: m.checksum for m in expanded.applied}
        named = tuple(m.version for m in expanded.applied)
        return migrating.revert(
            ports or self.ports(),
            self.settings,
            expanded,
            [fails(*named)] if failing is None else failing,
            serving=serving,
            share=share,
        )

    def applied(self) -> Sequence[str]:
        return self.migrator().applied()

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run something as the owner of the tables."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def tables(self, schema: str = "public") -> set[str]:
        rows = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = %s", schema)
        return {str(row[0]) for row in rows}

    def columns(self, table: str) -> list[str]:
        rows = self.sql(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
            "AND table_schema = 'public' ORDER BY ordinal_position",
            table,
        )
        return [str(row[0]) for row in rows]

    def sum_of(self, table: str) -> str:
        """Return a checksum of everything in a table."""
        query = (
            f"SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {table} t"  # noqa: S608
        )
        return str(self.sql(query)[0][0])


def fails(*versions: str, finding: Finding = Finding.FAIL) -> Checked:
    """Return a check that fails and names these versions."""
    check = Check(name="orphans", sql="SELECT 1", migrations=versions)
    return Checked(check=check, finding=finding, rows=3)


def old(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def codes(reverted: Reverted) -> set[str]:
    return {refusal.code for refusal in reverted.refusals}


def with_orders(team: Team) -> Team:
    """Apply what was there before: a table with rows in it."""
    team.write(
        "20260101",
        "CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL);\n"
        "INSERT INTO orders SELECT n, n * 1.5 FROM generate_series(1, 100) n;",
        "DROP TABLE orders;",
    )
    team.expanded("1.1-before")
    return team


__all__ = ["RELEASE", "Team", "Tool", "codes", "fails", "old", "replace", "with_orders"]
