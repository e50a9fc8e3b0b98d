"""Migrations of a release: applied before it, reverted after it, with each tool, for real."""

from __future__ import annotations

import pytest

from slipway.errors import DeployFailed, Refused
from tests.database.conftest import TeamOf
from tests.database.migrating import RELEASE, Team
from tests.database.written import Tool

TOOLS: tuple[Tool, ...] = ("dbmate", "alembic", "sql")


@pytest.fixture(params=TOOLS)
def team(request: pytest.FixtureRequest, team_of: TeamOf) -> Team:
    return team_of(request.param)


def test_what_is_pending_is_applied_and_written_down(team: Team) -> None:
    team.write(
        "20260201",
        "ALTER TABLE orders ADD COLUMN note text;",
        "ALTER TABLE orders DROP COLUMN note;",
    )
    team.preflight()

    done = team.expanded()

    assert [m.version for m in done.applied] == ["20260201"]
    assert team.applied() == ["20260101", "20260201"]
    assert team.columns("orders") == ["id", "total", "note"]
    rows = team.sql(
        "SELECT version, checksum, release, applied_at FROM deploy.migrations ORDER BY 1"
    )
    assert rows[1] == ("20260201", done.applied[0].checksum, RELEASE, done.at)


def test_nothing_pending_is_nothing(team: Team) -> None:
    assert team.expand() is None


def test_a_second_attempt_finds_what_the_first_applied_and_another_release_does_not(
    team: Team,
) -> None:
    team.write("20260201", "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    first = team.expanded("700.1-abc")

    again = team.expanded("700.2-abc")

    assert again.applied == first.applied
    assert team.expand("701.1-abc") is None


def test_it_is_reverted_and_old_rows_are_as_before(team: Team) -> None:
    before = team.sum_of("orders")
    team.write(
        "20260201",
        "ALTER TABLE orders ADD COLUMN note text;",
        "ALTER TABLE orders DROP COLUMN note;",
    )
    team.write(
        "20260202",
        "CREATE TABLE extra (id int PRIMARY KEY);\nCREATE INDEX extra_id ON extra (id);",
        "DROP TABLE extra;",
    )
    done = team.expanded()

    reverted = team.revert(done)

    assert reverted.done, reverted
    assert reverted.sentence == "reverted: 20260202, 20260201"
    assert team.applied() == ["20260101"]
    assert team.sum_of("orders") == before
    assert "extra" not in team.tables()
    assert team.sql("SELECT version FROM deploy.migrations") == [("20260101",)]


def test_it_can_be_applied_again_after_that(team: Team) -> None:
    team.write("20260201", "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    team.revert(team.expanded())

    assert [m.version for m in team.expanded("900.1-next").applied] == ["20260201"]


def test_one_that_fails_leaves_nothing_of_itself_and_says_what_is_applied(team: Team) -> None:
    team.write("20260201", "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    team.write("20260202", "CREATE TABLE half (id int);\nSELECT 1/0;", "DROP TABLE half;")

    with pytest.raises(DeployFailed) as failed:
        team.expand()

    together = team.tool == "alembic"  # its revisions are one transaction
    assert team.applied() == ["20260101"] + ["20260201"] * (not together)
    applied = "none" if together else "20260201 (step)"
    assert f"applied: {applied}; not applied: " in failed.value.found
    assert "division by zero" in failed.value.found
    assert "half" not in team.tables()
    lines = team.sql("SELECT version FROM deploy.migrations WHERE release = %s", RELEASE)
    assert lines == [] if together else lines == [("20260201",)]


def test_what_is_archived_keeps_every_value(team: Team) -> None:
    team.keys["lossy"] = "archive"
    team.write(
        "20260201",
        "ALTER TABLE orders ADD COLUMN note text, ADD COLUMN stars int;",
        "ALTER TABLE orders DROP COLUMN note, DROP COLUMN stars;",
    )
    team.write(
        "20260202", "CREATE TABLE extra (id int PRIMARY KEY, what jsonb);", "DROP TABLE extra;"
    )
    done = team.expanded()
    before = team.sql("SELECT id, total FROM orders ORDER BY 1")
    team.sql("UPDATE orders SET note = 'née ' || id WHERE id % 2 = 0")
    team.sql("UPDATE orders SET stars = 5 WHERE id % 3 = 0")
    team.sql("INSERT INTO extra SELECT n, jsonb_build_object('n', n) FROM generate_series(1, 7) n")
    written = team.sql(
        "SELECT id, note, stars FROM orders WHERE note IS NOT NULL OR stars IS NOT NULL ORDER BY 1"
    )
    extra = team.sql("SELECT id, what FROM extra ORDER BY 1")

    reverted = team.revert(done)

    assert reverted.done, reverted
    assert "deploy.archive_20260202_extra" in reverted.sentence
    assert (
        team.sql("SELECT id, note, stars FROM deploy.archive_20260201_orders ORDER BY 1") == written
    )
    assert team.sql("SELECT id, what FROM deploy.archive_20260202_extra ORDER BY 1") == extra
    assert team.sql("SELECT id, total FROM orders ORDER BY 1") == before
    assert team.columns("orders") == ["id", "total"]


def test_a_file_that_was_changed_after_it_was_applied_is_refused(team: Team) -> None:
    last, team.last = team.last, None
    team.write("20260101", "CREATE TABLE orders (id int);", "DROP TABLE orders;")
    team.last = last
    team.write("20260201", "CREATE TABLE extra (id int);", "DROP TABLE extra;")

    with pytest.raises(Refused, match="changed since"):
        team.preflight()
    with pytest.raises(Refused, match="changed since"):
        team.expand()


def test_what_is_applied_and_has_no_file_is_refused(team: Team) -> None:
    team.write("20260201", "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    team.expand()
    for file in team.root.rglob("20260201*"):
        file.unlink()

    with pytest.raises(Refused, match=r"not in this checkout: 20260201"):
        team.preflight()


def test_a_contract_migration_goes_alone(team: Team) -> None:
    team.write(
        "20260201",
        "-- deploy: contract\nALTER TABLE orders DROP COLUMN total;",
        "ALTER TABLE orders ADD COLUMN total numeric;",
    )
    team.preflight()
    assert any("never reverted" in line.replace("is never", "never") for line in team.said)
    team.write("20260202", "CREATE TABLE extra (id int);", "DROP TABLE extra;")

    with pytest.raises(Refused, match="deploy: contract"):
        team.preflight()
