"""check-migrations on a real Postgres, with real tools and the real linter."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.postgres import Database, Postgres
from tests.database.checkout import BASE_UP, checkout
from tests.database.written import Tool

each_tool = pytest.mark.parametrize("tool", ["dbmate", "alembic", "sql"])


@each_tool
def test_a_migration_that_adds_and_takes_away_again_is_good_and_its_trip_is_handed_on(
    tool: Tool, tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database, tool)
    repository.write(
        "20260102",
        "alter table orders add column paid_at timestamptz;",
        "alter table orders drop column paid_at;",
    )
    ran = repository.check()

    assert (ran.code, ran.result) == (0, "unchanged"), ran.log
    assert ran.round_trips == ["20260101", "20260102"]
    assert "with rows in 1 tables" in ran.summary
    assert "can be reverted" in ran.summary


def test_nothing_is_left_on_the_server_and_the_given_database_is_not_touched(
    tmp_path: Path, database: Database
) -> None:
    before = database.run("select datname from pg_database order by 1")
    checkout(tmp_path, database).check()

    assert database.run("select datname from pg_database order by 1") == before
    assert database.run("select count(*) from pg_tables where schemaname = 'public'") == [(0,)]


@pytest.mark.parametrize("tool", ["dbmate", "sql"])
def test_a_down_that_leaves_a_table_behind_fails(
    tool: Tool, tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database, tool)
    repository.write(
        "20260102",
        "create table refunds (id int primary key); create table notes (id int primary key);",
        "drop table refunds;",
    )
    ran = repository.check()

    assert (ran.code, ran.result) == (1, "failed")
    assert "left behind: table public.notes" in ran.errors()
    assert "after its down it does not go up again" in ran.errors()
    assert ran.round_trips == ["20260101"]


def test_a_down_that_loses_the_default_of_a_column_fails(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.write(
        "20260102",
        "alter table orders alter column note set default 'empty';",
        "alter table orders alter column note drop default;",
    )
    ran = repository.check()

    assert ran.result == "failed"
    assert "not as before: column public.orders.note" in ran.errors()


def test_a_down_that_loses_what_rows_held_fails_though_the_schema_is_as_before(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    # squawk is told to be quiet: the rows tell all the same.
    repository.write(
        "20260102",
        "-- squawk-ignore ban-drop-column, ban-drop-constraint, prefer-robust-stmts\n"
        "alter table orders drop column state;",
        "alter table orders add column state text not null default 'open' check "
        "(state in ('open', 'paid')); alter table orders alter column state drop default;",
    )
    ran = repository.check()

    assert "rows of public.orders are not as before" in ran.errors()
    assert "ban-drop-column" not in ran.errors()


def test_a_down_that_fails_is_told_in_the_words_of_the_database(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.write("20260102", "create table a (id int);", "drop table not_there;")
    repository.write("20260103", "create table b (id int);", "drop table b;")
    ran = repository.check()

    assert ran.result == "failed"
    assert "its down fails" in ran.errors()
    assert '"not_there" does not exist' in ran.errors()
    assert ran.round_trips == ["20260101", "20260103"]


def test_alembics_failures_and_its_mark_of_what_is_irreversible_are_understood(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database, "alembic")
    repository.write("20260102", "create table a (id int);", None)
    repository.write("20260103", "create table b (id int);", "drop table not_there;")
    repository.write(
        "20260104", "create table c (id int); create table d (id int);", "drop table c;"
    )
    ran = repository.check()

    failed, left = ran.annotations("error")
    assert "file=db/migrations/versions/20260103_step.py" in failed
    assert '"not_there" does not exist' in failed
    assert "file=db/migrations/versions/20260104_step.py" in left
    assert "left behind: table public.d" in left
    assert "says that it is irreversible" in "\n".join(ran.annotations("notice"))
    assert ran.round_trips == ["20260101"]


def test_a_migration_that_does_not_go_up_again_after_its_down_fails(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.write(
        "20260102",
        "insert into orders (id, state) values (100, 'open');",
        "select 1;",
    )
    ran = repository.check()

    assert "rows of public.orders are not as before" in ran.errors()
    assert "after its down it does not go up again" in ran.errors()


def test_one_without_a_way_back_is_good_and_said_to_be_frozen(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database, "sql")
    repository.write("20260102", "create table a (id int);", None)
    ran = repository.check()

    assert (ran.result, ran.round_trips) == ("unchanged", ["20260101"])
    assert "It will not be reverted by itself" in "\n".join(ran.annotations("notice"))
    assert "frozen" in ran.summary


def test_a_down_with_nothing_but_a_comment_is_none(tmp_path: Path, database: Database) -> None:
    # dbmate would forget the version and leave the table, and the next `up` would fail.
    repository = checkout(tmp_path, database)
    repository.write("20260102", "create table a (id int);", "-- nothing to do\n;")
    ran = repository.check()

    assert (ran.result, ran.round_trips) == ("unchanged", ["20260101"])


def test_only_the_newest_is_ever_reverted_whatever_else_is_in_the_directory(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    for number in range(2, 5):
        repository.write(
            f"2026010{number}", f"create table t{number} (id int);", f"drop table t{number};"
        )
    ran = repository.check()

    assert ran.round_trips == ["20260101", "20260102", "20260103", "20260104"]


def test_a_contract_migration_passes_with_its_mark_and_never_comes_back(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    bad = repository.write("20260102", "drop table orders;", BASE_UP)
    refused = repository.check()
    assert "title=ban-drop-table" in refused.errors()
    assert "file=db/migrations/20260102_step.sql,line=2" in refused.errors()

    bad.write_text(f"-- deploy: contract\n{bad.read_text()}")
    ran = repository.check()
    assert (ran.result, ran.round_trips) == ("unchanged", ["20260101"]), ran.log


def test_a_migration_that_cannot_go_up_fails_and_what_comes_after_is_not_said_to_be_good(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.write("20260102", "create table orders (id int);", "drop table orders;")
    repository.write("20260103", "create table b (id int);", "drop table b;")
    ran = repository.check()

    assert "it does not go up" in ran.errors()
    assert "20260102 before it did not go up" in ran.summary.replace("\\", "")
    assert (ran.result, ran.round_trips) == ("failed", ["20260101"])


def test_rows_that_nobody_wrote_do_not_fail_a_migration_that_they_stand_in_the_way_of(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.write(
        "20260102",
        "alter table orders add constraint round check (id % 1000 = 0);",
        "alter table orders drop constraint round;",
    )
    ran = repository.check()

    assert ran.result == "unchanged", ran.log
    assert "with made-up rows in the tables it does not go up" in ran.log
    assert ran.round_trips == ["20260101", "20260102"]


def test_rows_are_put_into_tables_of_every_kind_and_what_refuses_them_is_told(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database, "sql")
    repository.write(
        "20260102",
        """create type colour as enum ('red', 'blue');
        create table sellers (id uuid primary key, code varchar(3) unique not null,
          colour colour not null, born date, meta jsonb not null, tags text[] not null,
          at timestamptz not null default now(), rate numeric(3, 1), logo bytea, own boolean);
        create table lines (id bigint generated always as identity primary key,
          seller uuid not null references sellers, "order" bigint references orders (id),
          next bigint references lines (id));
        create table walled (id int not null check (id > 1000));""",
        "drop table walled; drop table lines; drop table sellers; drop type colour;",
    )
    repository.write("20260103", "create table z (id int);", "drop table z;")
    ran = repository.check()

    assert ran.result == "unchanged", ran.log
    warned = "\n".join(ran.annotations("warning"))
    assert "no rows could be put into public.walled" in warned
    assert "public.sellers" not in warned
    assert "public.lines" not in warned
    assert "with rows in 4 tables" in ran.summary


def test_one_outside_a_transaction_goes_there_and_back_and_is_frozen_all_the_same(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.write(
        "20260102",
        "create index concurrently notes on orders (note);",
        "drop index concurrently notes;",
        options=" transaction:false",
    )
    ran = repository.check()

    assert (ran.result, ran.round_trips) == ("unchanged", ["20260101", "20260102"]), ran.log
    assert "title=no-transaction" in "\n".join(ran.annotations("notice"))


def test_a_database_that_the_job_knows_too_is_never_the_one_that_is_tried_on(
    tmp_path: Path, database: Database, postgres: Postgres
) -> None:
    repository = checkout(tmp_path, database, "alembic")
    env = repository.directory / "env.py"
    env.write_text(
        env.read_text().replace(
            'os.environ["DATABASE_URL"]',
            'os.environ.get("APP_DATABASE", os.environ["DATABASE_URL"])',
        )
    )
    with postgres.database() as production:
        ran = repository.check(job={"APP_DATABASE": production.owner})

        assert production.run("select count(*) from pg_tables where schemaname = 'public'") == [
            (0,)
        ]
    assert (ran.code, ran.round_trips) == (0, ["20260101"]), ran.log
