"""What check-migrations looks at, and where it refuses to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.postgres import Database
from tests.database.checkout import BASE_DOWN, BASE_UP, Checkout, checkout
from tests.database.written import Tool

EXAMPLE = Path(__file__).parents[2] / "examples/livestreamsell"


def test_only_what_is_new_since_the_base_is_judged(tmp_path: Path, database: Database) -> None:
    repository = checkout(tmp_path, database)
    repository.write("20260102", "create table a (id int);", "drop table a;")
    repository.write("20260103", "drop table a;", "create table a (id int);")
    repository.git("init", "-q", "-b", "main")
    repository.git("add", ".")
    repository.git("commit", "-qm", "before")
    repository.write("20260104", "create table b (id int);", "drop table b;")
    ran = repository.check(base="main")

    assert (ran.result, ran.round_trips) == ("unchanged", ["20260104"]), ran.log


@pytest.mark.parametrize(
    ("tool", "up", "down"),
    [
        ("dbmate", BASE_UP.replace("none", "empty"), BASE_DOWN),
        ("sql", BASE_UP, f"{BASE_DOWN} select 1;"),
    ],
)
def test_a_file_that_was_changed_since_the_base_is_judged_and_told(
    tool: Tool, up: str, down: str, tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database, tool)
    repository.git("init", "-q", "-b", "main")
    repository.git("add", ".")
    repository.git("commit", "-qm", "before")
    assert repository.check(base="main").outputs["reason"] == "No migration is new."

    repository.write("20260101", up, down)
    ran = repository.check(base="main")

    assert "title=changed-file" in "\n".join(ran.annotations("warning"))
    assert ran.round_trips == ["20260101"]


def test_a_base_that_the_checkout_does_not_have_is_told_with_what_to_do(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    repository.git("init", "-q")
    ran = repository.check(base="nowhere")

    assert ran.code == 2
    assert "fetch-depth: 0" in ran.errors()


def test_a_database_with_a_table_in_it_is_refused(tmp_path: Path, database: Database) -> None:
    repository = checkout(tmp_path, database)
    database.run("create table customers (id int)")
    ran = repository.check()

    assert (ran.code, ran.result) == (2, "refused")
    assert "holds public.customers" in ran.errors()


def test_the_server_of_what_is_live_is_refused(tmp_path: Path, database: Database) -> None:
    repository = checkout(tmp_path, database)
    live = database.owner.replace("127.0.0.1", "localhost").rpartition("/")[0] + "/live"
    ran = repository.check(migrations_url=live)

    assert ran.code == 2
    assert "on the server of `migrations-url`" in ran.errors()


def test_a_role_that_may_not_make_databases_is_told_so(tmp_path: Path, database: Database) -> None:
    ran = checkout(tmp_path, database).check(url=f"{database.owner}?sslmode=disable")

    assert ran.code == 2
    assert "may not create databases" in ran.errors()


def test_without_an_answer_of_the_server_it_is_held_and_no_password_is_shown(
    tmp_path: Path, database: Database
) -> None:
    repository = checkout(tmp_path, database)
    ran = repository.check(url="postgresql://me:hidden-word@127.0.0.1:1/nothing")

    assert (ran.code, ran.result) == (4, "held")
    assert "hidden-word" not in ran.log + ran.summary + str(ran.outputs)


def test_the_examples_migrations_may_be_released_and_can_come_back(
    tmp_path: Path, database: Database
) -> None:
    repository = Checkout(tmp_path, database)
    files = sorted((EXAMPLE / "db/migrations").glob("*.sql"))
    for file in files:
        (repository.directory / file.name).write_bytes(file.read_bytes())
    ran = repository.check()

    assert ran.result == "unchanged", ran.log
    assert ran.round_trips == [file.name.partition("_")[0] for file in files]
