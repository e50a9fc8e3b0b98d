"""What could lose rows or show them to somebody: each tried on a real database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.postgres import Database, Postgres
from slipway.clients.migrators.watch import NAME
from slipway.errors import DeployFailed, OutsideError, Refused
from tests.database.conftest import TeamOf
from tests.database.migrating import Team, codes, with_orders
from tests.database.silent import between
from tests.database.written import Tool

V = "20260201"
NOTE = ("ALTER TABLE orders ADD COLUMN note text;", "ALTER TABLE orders DROP COLUMN note;")


@pytest.fixture
def plain(team_of: TeamOf) -> Team:
    return team_of("sql", keys={"lossy": "archive"})


@pytest.fixture
def dbmate(team_of: TeamOf) -> Team:
    return team_of("dbmate")


def as_app(team: Team, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(team.database.app, options="-c statement_timeout=3s") as connection:
        return connection.execute(statement.encode()).fetchall()


def test_a_copy_is_read_by_nobody_but_its_owner(plain: Team) -> None:
    # What Supabase and many teams have: whatever is made is open to the application.
    plain.sql("CREATE SCHEMA IF NOT EXISTS deploy")
    plain.sql("GRANT USAGE ON SCHEMA deploy TO PUBLIC")
    plain.sql("ALTER DEFAULT PRIVILEGES IN SCHEMA deploy GRANT SELECT ON TABLES TO PUBLIC, app")
    plain.write(V, *NOTE)
    plain.write(
        "20260202",
        "CREATE TABLE people (id int PRIMARY KEY, phone text);\n"
        "ALTER TABLE people ENABLE ROW LEVEL SECURITY;",
        "DROP TABLE people;",
    )
    done = plain.expanded()
    plain.sql("UPDATE orders SET note = 'call Ana' WHERE id = 3")
    plain.sql("INSERT INTO people VALUES (1, '+1-555-0100')")
    assert as_app(plain, "SELECT * FROM people") == []

    reverted = plain.revert(done)

    assert reverted.done, reverted
    for copy in ("archive_20260201_orders", "archive_20260202_people"):
        assert len(plain.sql(f"SELECT * FROM deploy.{copy}")) == 1  # noqa: S608
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_app(plain, f"SELECT * FROM deploy.{copy}")  # noqa: S608
        secured = plain.sql("SELECT relrowsecurity FROM pg_class WHERE relname = %s", copy)
        assert secured == [(True,)]


def test_a_value_of_which_a_field_is_null_is_a_value(plain: Team) -> None:
    plain.write(
        V,
        "CREATE TYPE place AS (street text, town text);\nALTER TABLE orders ADD COLUMN home place;",
        "ALTER TABLE orders DROP COLUMN home;\nDROP TYPE place;",
    )
    done = plain.expanded()
    plain.sql("UPDATE orders SET home = ROW('Elm 1', NULL) WHERE id = 7")
    plain.sql("UPDATE orders SET home = ROW(NULL, NULL) WHERE id = 8")

    refused = replace(plain, keys={"lossy": "refuse"}).revert(done)
    reverted = plain.revert(done)

    assert codes(refused) == {"loses-data"}
    assert reverted.done, reverted
    # As text: the copy must not keep the type from being dropped.
    assert plain.sql("SELECT id, home FROM deploy.archive_20260201_orders ORDER BY 1") == [
        (7, '("Elm 1",)'),
        (8, "(,)"),
    ]


def test_a_copy_does_not_keep_its_own_type_from_being_dropped(plain: Team) -> None:
    plain.write(
        V,
        "CREATE TYPE mood AS ENUM ('a', 'b');\n"
        "CREATE TABLE extra (id int PRIMARY KEY, one mood, all_of mood[]);",
        "DROP TABLE extra;\nDROP TYPE mood;",
    )
    done = plain.expanded()
    plain.sql("INSERT INTO extra VALUES (1, 'b', '{a,b}')")

    assert plain.revert(done).done

    assert plain.sql("SELECT * FROM deploy.archive_20260201_extra") == [(1, "b", "{a,b}")]


HIDDEN = {
    "a temporary table": ("CREATE TEMP TABLE orders (id int);", "DROP TABLE orders;", "unread"),
    "a partition": (
        "CREATE TABLE late PARTITION OF parts FOR VALUES FROM (100) TO (200);",
        "DROP TABLE late;",
        "leaves",
    ),
    "an heir": ("CREATE TABLE heir () INHERITS (orders);", "DROP TABLE heir;", "leaves"),
    "rows that others hang on": (
        "CREATE TABLE places (id int PRIMARY KEY);\n"
        "ALTER TABLE orders ADD COLUMN place int REFERENCES places ON DELETE CASCADE;",
        "DELETE FROM places;\nALTER TABLE orders DROP COLUMN place;\nDROP TABLE places;",
        "not-ours",
    ),
    "another letter": (
        'CREATE TABLE "ordérs" (id int);',
        "DROP TABLE ORDÉRS;",
        "not-ours",
    ),
}


@pytest.mark.parametrize("case", HIDDEN.values(), ids=list(HIDDEN))
def test_rows_from_before_are_not_hidden_behind_what_was_made(
    plain: Team, case: tuple[str, str, str]
) -> None:
    up, down, code = case
    plain.sql("CREATE TABLE parts (id int) PARTITION BY RANGE (id)")
    plain.sql('CREATE TABLE "ordÉrs" (id int)')
    plain.write(V, up, down)
    done = plain.expanded()
    if "places" in up:
        plain.sql("INSERT INTO places VALUES (1)")
        plain.sql("UPDATE orders SET place = 1")
    if "late" in up:
        plain.sql("INSERT INTO parts VALUES (150)")  # as older code does
    tables = plain.tables()

    reverted = plain.revert(done)

    assert plain.sql("SELECT count(*) FROM orders")[0][0] == 100
    assert "ordÉrs" in plain.tables()
    assert code in codes(reverted), reverted
    assert plain.tables() == tables


def test_a_name_that_two_of_our_schemas_have_is_not_guessed(plain: Team) -> None:
    # A tool may look into another one first than we do: Alembic's env.py sets what it likes.
    plain.write(V, *NOTE)
    done = plain.expanded()
    plain.sql("CREATE SCHEMA tenant")
    plain.sql("CREATE TABLE tenant.orders (id int)")
    assert plain.migrator().rows(probe_of(plain, done)) == 0
    plain.sql("ALTER TABLE tenant.orders ADD COLUMN note text")

    reverted = plain.revert(done)

    assert codes(reverted) == {"unknown"}
    assert "public, tenant" in reverted.sentence
    assert "note" in plain.columns("orders")


def probe_of(team: Team, done: Any) -> Any:
    from slipway.migrations.deeds import deeds_of  # noqa: PLC0415
    from slipway.migrations.rules import probes_of  # noqa: PLC0415

    (one,) = done.applied
    return probes_of(deeds_of(one.up), deeds_of(one.down))[0]


def test_dbmate_does_not_begin_anew_in_a_schema_that_came_first(dbmate: Team) -> None:
    dbmate.sql("CREATE SCHEMA owner")  # of the role's name: first in its search path
    dbmate.write(V, *NOTE)

    with pytest.raises(Refused, match="schema_migrations is in the schema public"):
        dbmate.preflight()
    with pytest.raises(Refused, match="apply everything again"):
        dbmate.expand()

    assert dbmate.tables("owner") == set()


@contextmanager
def reading(team: Team) -> Iterator[psycopg.Connection]:
    """A query of somebody's that never ends."""
    with psycopg.connect(team.database.app, application_name="report") as connection:
        connection.execute("SELECT count(*) FROM orders")
        yield connection


@pytest.mark.parametrize("tool", ["dbmate", "alembic", "sql"])
def test_a_way_back_does_not_queue_everybody_behind_a_long_query(
    tool: Tool, team_of: TeamOf
) -> None:
    team = team_of(tool, patience=2.0)
    team.write(V, *NOTE)
    done = team.expanded()
    before = team.sum_of("orders")

    with reading(team):
        began = time.monotonic()
        reverted = team.revert(done)
        took = time.monotonic() - began

        assert as_app(team, "SELECT count(*) FROM orders") == [(100,)]  # nobody is queued before it

    assert not reverted.done
    assert "lock" in reverted.sentence
    assert f"still applied: {V}" in reverted.sentence
    assert 2 < took < 15
    assert tools_of(team) == []
    assert team.sum_of("orders") == before
    assert team.revert(done).done  # when the query has ended


def tools_of(team: Team) -> list[tuple[Any, ...]]:
    return team.database.run(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s "
        "AND datname = current_database()",
        NAME,
    )


def test_a_killed_tool_leaves_no_session_that_still_waits(dbmate: Team) -> None:
    dbmate.keys["timeout"] = "2s"
    dbmate.write(V, *NOTE)

    with reading(dbmate):
        with pytest.raises(DeployFailed, match="had not ended after 2 s"):
            dbmate.expand()

        assert as_app(dbmate, "SELECT count(*) FROM orders") == [(100,)]
    assert tools_of(dbmate) == []
    assert dbmate.applied() == ["20260101"]


def test_what_a_dead_runner_left_in_the_database_is_ended_by_the_next(dbmate: Team) -> None:
    dbmate.write(V, *NOTE)
    with psycopg.connect(dbmate.url, application_name=NAME) as left:
        left.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()

        dbmate.expanded()

        assert time.monotonic() - began < 8
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")


def test_a_connection_killed_in_the_middle_of_a_revert_leaves_it_whole(plain: Team) -> None:
    plain.write(V, *NOTE)
    done = plain.expanded()
    plain.sql("UPDATE orders SET note = 'x' WHERE id = 5")
    before = plain.sum_of("orders")

    def kill() -> None:
        waiting = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'relation' "
            "AND application_name = 'slipway-migrations' AND datname = current_database()"
        )
        until = time.monotonic() + 10
        while not plain.database.run(waiting) and time.monotonic() < until:
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    with reading(plain):
        killer.start()
        reverted = plain.revert(done)
        killer.join(15)

    assert not reverted.done
    assert "reverted: none; still applied: 20260201" in reverted.sentence
    assert plain.sum_of("orders") == before
    assert not [table for table in plain.tables("deploy") if "archive" in table]


def test_a_lock_that_a_pooler_lost_is_not_taken_for_held(plain: Team) -> None:
    plain.write(V, *NOTE)
    migrator = plain.migrator()

    with migrator.locked():
        # A pooler that hands each transaction to another session looks like this from here.
        with migrator._session.connection() as connection:
            connection.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(OutsideError, match="lock of migrations was lost"):
            migrator.apply()

    assert plain.applied() == ["20260101"]


def test_a_revision_that_does_something_else_when_it_is_run_is_refused(team_of: TeamOf) -> None:
    team = team_of("alembic")
    team.write(V, *NOTE)
    (file,) = team.root.rglob(f"{V}*.py")
    file.write_text(
        file.read_text()
        + "\n    from alembic import context\n    if not context.is_offline_mode():\n"
        "        op.execute('DROP TABLE orders')\n"
    )

    reverted = team.revert(team.expanded())

    assert "no-down" in codes(reverted)
    assert team.sql("SELECT count(*) FROM orders") == [(100,)]


def test_a_server_that_says_nothing_more_is_not_waited_for(plain: Team, postgres: Postgres) -> None:
    plain.keys["timeout"] = "1s"
    plain.write(V, "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    with between(postgres.port) as relay:
        through = plain.database.owner.replace(f":{postgres.port}/", f":{relay.port}/")
        cut = replace(plain, database=replace(plain.database, owner=through), silence=1.0)
        relay.silent_after(b"CREATE TABLE extra")
        began = time.monotonic()

        with pytest.raises(DeployFailed, match=rf"not applied: {V}|is not known"):
            cut.expand()

        assert time.monotonic() - began < 10


def test_what_one_migration_sets_is_not_so_for_the_next(plain: Team) -> None:
    # Each was tried alone: in the release it must not land in another schema.
    plain.sql("CREATE SCHEMA other")
    plain.write(V, "SET search_path = other;\nSET row_security = off;", "SELECT 1;")
    plain.write("20260202", "CREATE TABLE extra (id int);", "DROP TABLE extra;")

    plain.expanded()

    assert plain.tables("other") == set()
    assert "extra" in plain.tables()


@pytest.mark.parametrize("tool", ["dbmate", "alembic"])
def test_copies_are_told_of_where_the_way_back_fails(tool: Tool, team_of: TeamOf) -> None:
    team = team_of(tool, keys={"lossy": "archive"})
    team.write(V, *NOTE)
    done = team.expanded()
    team.sql("UPDATE orders SET note = 'x' WHERE id = 5")
    team.sql("CREATE VIEW theirs AS SELECT note FROM orders")

    reverted = team.revert(done)

    assert not reverted.done
    assert f"still applied: {V}" in reverted.sentence
    assert "copied had been deploy.archive_20260201_orders" in reverted.sentence
    assert "note" in team.columns("orders")


def test_a_role_that_may_make_no_schema_uses_the_one_that_was_made_for_it(
    database: Database, tmp_path: Path
) -> None:
    name = psycopg.sql.Identifier(database.name)
    with psycopg.connect(database.admin, autocommit=True) as admin:
        admin.execute(psycopg.sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(name))
        admin.execute("CREATE SCHEMA deploy AUTHORIZATION owner")
        admin.execute("GRANT CREATE ON SCHEMA public TO owner")
    team = with_orders(Team(root=tmp_path, database=database, keys={"lossy": "archive"}))
    team.write(V, *NOTE)
    done = team.expanded()
    team.sql("UPDATE orders SET note = 'x' WHERE id = 5")

    assert team.revert(done).done


def test_a_schema_of_that_name_that_is_somebody_elses_is_left_alone(
    database: Database, tmp_path: Path
) -> None:
    database.run("CREATE SCHEMA deploy")
    database.run("CREATE TABLE deploy.migrations (id int)")
    team = Team(root=tmp_path, database=database)
    team.write(V, "CREATE TABLE extra (id int);", "DROP TABLE extra;")

    with pytest.raises(Refused, match="permission denied for schema deploy"):
        team.preflight()

    assert team.tables() == set()
