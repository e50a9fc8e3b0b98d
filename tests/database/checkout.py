"""A repository with migrations, and check-migrations run on it as its action does."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.postgres import Database
from slipway.__main__ import main
from tests.database.written import BIN, Tool, Written

BASE_UP = (
    "create table orders (id bigint primary key, note text not null default 'none', "
    "state text not null check (state in ('open', 'paid')));"
)
BASE_DOWN = "drop table orders;"


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
class Checkout(Written):
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
