"""A team's repository with migrations, its database, and a release of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

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

BIN = Path(sys.executable).parent
Tool = Literal["dbmate", "alembic", "sql"]
RELEASE = "700.1-abcdef123456"

ENV_PY = """
import os
from alembic import context
from sqlalchemy import create_engine
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""


@dataclass
class Team:
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

    @property
    def directory(self) -> Path:
        return self.root / "db/migrations"

    def write(self, version: str, up: str, down: str | None, *, options: str = "") -> None:
        """Write one migration as its tool has it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.tool == "dbmate":
            text = f"-- migrate:up{options}\n{up}\n\n-- migrate:down{options}\n{down or ''}\n"
            (self.directory / f"{version}_step.sql").write_text(text)
        elif self.tool == "sql":
            (self.directory / f"{version}_step.up.sql").write_text(up)
            if down is not None:
                (self.directory / f"{version}_step.down.sql").write_text(down)
        else:
            self._write_revision(version, up, down)

    def _write_revision(self, version: str, up: str, down: str | None) -> None:
        versions = self.directory / "versions"
        versions.mkdir(exist_ok=True)
        (self.directory / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
        (self.directory / "env.py").write_text(ENV_PY)
        marks = "".join(f"# {line[3:]}\n" for line in up.splitlines() if line.startswith("-- dep"))
        back = f"op.execute({down!r})" if down is not None else "raise NotImplementedError"
        (versions / f"{version}_step.py").write_text(
            f"{marks}from alembic import op\nrevision = {version!r}\ndown_revision = {self.last!r}"
            f"\n\n\ndef upgrade():\n    op.execute({up!r})\n\n\ndef downgrade():\n    {back}\n"
        )
        self.last = version

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
