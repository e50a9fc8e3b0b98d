"""A real PostgreSQL, started once per worker, and a database of its own for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest

from sandbox.postgres import Database, Postgres
from tests.database.migrating import Team, with_orders
from tests.database.written import Tool


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server with the roles owner, app and checks."""
    with Postgres() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    """An empty database, and the addresses of those who ask it."""
    with postgres.database() as made:
        yield made


class TeamOf(Protocol):
    """Returns a team whose table of orders is there already; ``more`` is of :class:`Team`."""

    def __call__(self, tool: Tool, **more: Any) -> Team: ...


@pytest.fixture(scope="session")
def before(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each tool's first release, made once: a tool takes seconds to begin."""

    @cache
    def first(tool: Tool) -> Team:
        root = tmp_path_factory.mktemp(tool)
        return with_orders(Team(root=root, database=postgres.create(), tool=tool))

    return first


@pytest.fixture
def team_of(postgres: Postgres, before: Any, tmp_path: Path) -> Iterator[TeamOf]:
    """Copies of that, of the files and of the database."""
    with ExitStack() as made:

        def of(tool: Tool, **more: Any) -> Team:
            first = before(tool)
            shutil.copytree(first.root, tmp_path, dirs_exist_ok=True)
            database = postgres.create(template=first.database.name)
            made.callback(postgres.drop, database)
            return Team(root=tmp_path, database=database, tool=tool, last=first.last, **more)

        yield of
