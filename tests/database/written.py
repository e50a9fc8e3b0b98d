"""Migrations on disk, as each tool has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Literal

Tool = Literal["dbmate", "alembic", "sql"]
BIN: Final = Path(sys.executable).parent
_ENV_PY: Final = """
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
_NO_WAY_BACK: Final = "raise NotImplementedError"
"""What Alembic's users write where a revision cannot be reverted."""


class Written:
    """A repository that migrations are written into."""

    root: Path
    tool: Tool
    last: str | None
    """The newest revision of Alembic."""

    @property
    def directory(self) -> Path:
        return self.root / "db/migrations"

    def write(self, version: str, up: str, down: str | None, *, options: str = "") -> Path:
        """Write one migration as its tool has it; return its file, of a pair that of ``up``."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.tool == "alembic":
            return self._revision(version, up, down)
        if self.tool == "dbmate":
            file = self.directory / f"{version}_step.sql"
            file.write_text(
                f"-- migrate:up{options}\n{up}\n\n-- migrate:down{options}\n{down or ''}\n"
            )
            return file
        file = self.directory / f"{version}_step.up.sql"
        file.write_text(up)
        if down is not None:
            (self.directory / f"{version}_step.down.sql").write_text(down)
        return file

    def _revision(self, version: str, up: str, down: str | None) -> Path:
        versions = self.directory / "versions"
        versions.mkdir(exist_ok=True)
        (self.directory / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
        (self.directory / "env.py").write_text(_ENV_PY)
        marks = "".join(f"# {line[3:]}\n" for line in up.splitlines() if line.startswith("-- dep"))
        back = _NO_WAY_BACK if down is None else f"op.execute({down!r})"
        file = versions / f"{version}_step.py"
        file.write_text(
            f"{marks}from alembic import op\nrevision = {version!r}\ndown_revision = {self.last!r}"
            f"\n\n\ndef upgrade():\n    op.execute({up!r})\n\n\ndef downgrade():\n    {back}\n"
        )
        self.last = version
        return file
