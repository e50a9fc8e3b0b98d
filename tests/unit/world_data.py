"""A database in memory: what is applied, what its checks find, and whose code writes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from slipway.errors import OutsideError, SlipwayError
from slipway.ports import Check, Checked, Finding, Migration, Probe, Recorded
from slipway.release.deploys import Ports
from tests.unit.builds import CANARY, STABLE
from tests.unit.world import World

VERSION = "20261201000000"
NAMED = Check(name="orphans", sql="select 1", migrations=(VERSION,))
DATA = {
    "data": {},
    "migrations": {"tool": "sql", "round-trip": False},
}
"""What slipway.yml says."""


def migration(**changes: object) -> Migration:
    """A migration that adds a table, and takes it away again."""
    plain = Migration(
        version=VERSION,
        name="order_lines",
        file=f"db/migrations/{VERSION}_order_lines.up.sql",
        checksum="c" * 64,
        up="create table order_lines (id int primary key);",
        down="drop table order_lines;",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


class MemoryData:
    """The database, as checks and the migration tool see it."""

    def __init__(self, world: World, *migrations: Migration) -> None:
        self.world = world
        self.migrations = list(migrations)
        self.versions: list[str] = ["20260101000000"]
        self.records: list[Recorded] = []
        self.rows_of: Callable[[str], int] = lambda check: 0
        """Offending rows of a check, by its name."""
        self.unreachable = False
        self.fails: SlipwayError | None = None
        """Why the tool does not apply anything."""
        self.holding = 0
        """Rows in what a revert would take away."""
        self.code_at_revert: list[str] = []
        """Builds with an instance anywhere when a migration was reverted, and the edge's share."""

    def ports(self, *checks: Check) -> Ports:
        return replace(self.world.ports(), database=self, migrator=self, checks=checks or (NAMED,))

    def check(self, check: Check) -> Checked:
        with self.world.call(f"data.check {check.name}"):
            if self.unreachable:
                return Checked(
                    check=check, finding=Finding.ERROR, why="no connection", unreachable=True
                )
            rows = self.rows_of(check.name)
            return Checked(check=check, finding=Finding.FAIL if rows else Finding.PASS, rows=rows)

    def cautions(self) -> Sequence[str]:
        return ()

    def files(self) -> Sequence[Migration]:
        first = migration(version="20260101000000", name="orders", file="a")
        return [first, *self.migrations]

    def applied(self) -> Sequence[str]:
        return list(self.versions)

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def apply(self) -> None:
        with self.world.call("data.apply"):
            if self.fails:
                raise self.fails
            self.versions += [m.version for m in self.migrations if m.version not in self.versions]

    def revert(self, version: str, archive: Sequence[Probe] = ()) -> Sequence[str]:
        with self.world.call(f"data.revert {version}"):
            world = self.world
            self.code_at_revert = sorted(
                {
                    deploy.build.name
                    for service in (STABLE, CANARY)
                    for _, deploy, _ in world.instances(world.services[service])
                }
            )
            assert world.effective_share() == 0
            assert self.versions.pop() == version
            return ()

    def recorded(self) -> Sequence[Recorded]:
        return list(self.records)

    def intend(self, migrations: Sequence[Migration], release: str) -> None:
        self.records += [
            Recorded(version=m.version, checksum=m.checksum, release=release, applied_at=None)
            for m in migrations
        ]

    def confirm(self, versions: Sequence[str]) -> datetime:
        at = self.world.clock.now()
        self.records = [
            replace(r, applied_at=at) if r.version in versions else r for r in self.records
        ]
        return at

    def forget(self, versions: Sequence[str]) -> None:
        self.records = [r for r in self.records if r.version not in versions]

    def rows(self, probe: Probe) -> int:
        return self.holding

    def keyed(self, probe: Probe) -> bool:
        return True

    def round_trip(self, version: str) -> str | None:
        return None

    def backup_at(self) -> datetime | None:
        return self.world.clock.now() - timedelta(hours=1)


def broken() -> SlipwayError:
    return OutsideError("the tool says: syntax error", remedy="Mend it.")
