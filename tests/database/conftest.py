"""A real PostgreSQL, started once per worker, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.postgres import Database, Postgres


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
