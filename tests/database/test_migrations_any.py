"""Whatever a release adds, reverting it brings back the schema and the rows that were there."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.postgres import Database
from tests.database.migrating import Team, with_orders

TYPES = st.sampled_from(["int", "text", "numeric(8,2)", "timestamptz", "jsonb", "uuid"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("column"), TYPES),
        st.tuples(st.just("table"), TYPES),
        st.tuples(st.just("index"), TYPES),
        st.tuples(st.just("constraint"), TYPES),
        st.tuples(st.just("type"), TYPES),
    ),
    min_size=1,
    max_size=5,
)
_TURNS = count(1)


def written(kind: str, of: str, name: str) -> tuple[str, str]:
    """Return what adds something, and what takes it away."""
    return {
        "column": (
            f"ALTER TABLE orders ADD COLUMN {name} {of};",
            f"ALTER TABLE orders DROP {name};",
        ),
        "table": (
            f"CREATE TABLE {name} (id int PRIMARY KEY REFERENCES orders, v {of});",
            f"DROP TABLE {name};",
        ),
        "index": (f"CREATE INDEX {name} ON orders (total, id);", f"DROP INDEX {name};"),
        "constraint": (
            f"ALTER TABLE orders ADD CONSTRAINT {name} CHECK (total >= 0);",
            f"ALTER TABLE orders DROP CONSTRAINT {name};",
        ),
        "type": (f"CREATE TYPE {name} AS ENUM ('a', 'b');", f"DROP TYPE {name};"),
    }[kind]


def schema(team: Team) -> list[Any]:
    """Return everything that is in `public`, as Postgres describes it."""
    return [
        team.sql(
            "SELECT table_name, column_name, data_type, is_nullable FROM "
            "information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ),
        team.sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
        team.sql(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace ORDER BY 1"
        ),
        team.sql(
            "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1"
        ),
    ]


@pytest.fixture
def team(tmp_path: Path, database: Database) -> Team:
    return with_orders(Team(root=tmp_path, database=database))


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_is_added_is_taken_back(team: Team, steps: list[tuple[str, str]]) -> None:
    turn = next(_TURNS)
    before, rows = schema(team), team.sum_of("orders")
    for number, (kind, of) in enumerate(steps):
        version = f"2027{turn:02}{number:02}"
        team.write(version, *written(kind, of, f"x_{version}"))
    done = team.expanded(f"{turn}.1-x")
    assert schema(team) != before

    reverted = team.revert(done)

    assert reverted.done, reverted
    assert schema(team) == before
    assert team.sum_of("orders") == rows
    for migration in done.applied:
        for file in team.directory.glob(f"{migration.version}*"):
            file.unlink()
