"""A repository with migrations, and check-migrations run on it as its action does."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sandbox.postgres import Database
from slipway.__main__ import main

Tool = Literal["dbmate", "alembic", "sql"]
BIN = Path(sys.executable).parent
BASE_UP = (
    "create table orders (id bigint primary key, note text not null default 'none', "
    "state text not null check (state in ('open', 'paid')));"
)
BASE_DOWN = "drop table orders;"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How one run ended."""

    code: int
    outputs: Mapping[str, str]
    summary: str
    log: str

    @property
    def result(self) -> str:
        return self.outputs["result"]

    @property
    def round_trips(self) -> list[str]:
        return sorted(json.loads(self.outputs["round-trips"]))

    def annotations(self, level: str) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith(f"::{level} ")]

    def errors(self) -> str:
        return "\n".join(self.annotations("error"))


@dataclass
class Checkout:
    """A directory with slipway.yml and one service's migrations."""

    root: Path
    database: Database
    tool: Tool = "dbmate"
    keys: str = ""
    last: str | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "slipway.yml").write_text(
            "version: 1\nservices:\n  bot:\n    stable: {service: srv-a}\n"
            f"    migrations: {{tool: {self.tool}{self.keys}}}\n"
        )
        self.directory.mkdir(parents=True)

    @property
    def directory(self) -> Path:
        return self.root / "db/migrations"

    def write(self, version: str, up: str, down: str | None, *, options: str = "") -> Path:
        """Write one migration as its tool has it."""
        if self.tool == "dbmate":
            file = self.directory / f"{version}_step.sql"
            file.write_text(
                f"-- migrate:up{options}\n{up}\n-- migrate:down{options}\n{down or ''}\n"
            )
        elif self.tool == "sql":
            file = self.directory / f"{version}_step.up.sql"
            file.write_text(up)
            if down is not None:
                (self.directory / f"{version}_step.down.sql").write_text(down)
        else:
            file = self._revision(version, up, down)
        return file

    def _revision(self, version: str, up: str, down: str | None) -> Path:
        versions = self.directory / "versions"
        versions.mkdir(exist_ok=True)
        (self.directory / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
        (self.directory / "env.py").write_text(ENV_PY)
        back = f"op.execute({down!r})" if down is not None else "raise NotImplementedError"
        file = versions / f"{version}_step.py"
        file.write_text(
            f"from alembic import op\nrevision = {version!r}\ndown_revision = {self.last!r}"
            f"\n\n\ndef upgrade():\n    op.execute({up!r})\n\n\ndef downgrade():\n    {back}\n"
        )
        self.last = version
        return file

    def git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            timeout=30,
        )

    def check(
        self, *, url: str | None = None, job: Mapping[str, str] | None = None, **more: str
    ) -> Ran:
        """Run it as on GitHub. ``job``: what else is in its environment."""
        output, summary, said = self.root / "out.txt", self.root / "summary.md", io.StringIO()
        for file in (output, summary):
            file.write_text("")
        environ = {
            **(job or {}),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": "/nonexistent",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.root),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "SLIPWAY_SERVICE": "bot",
            "SLIPWAY_SCRATCH_URL": url or f"{self.database.admin}?sslmode=disable",
            **{f"SLIPWAY_{name.upper()}": value for name, value in more.items()},
        }
        code = main(("check-migrations",), environ, said)
        written = re.findall(r"(?s)([\w-]+)<<(\S+)\n(.*?)\n\2\n", output.read_text())
        return Ran(
            code=code,
            outputs={name: value for name, _, value in written},
            summary=summary.read_text(),
            log=said.getvalue(),
        )


def checkout(root: Path, database: Database, tool: Tool = "dbmate") -> Checkout:
    """Return one with a table that was there before."""
    made = Checkout(root, database, tool)
    made.write("20260101", BASE_UP, BASE_DOWN)
    return made
