"""What goes wrong around migrations: two at once, death half-way, hostile names, other people."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from sandbox.postgres import Database
from slipway.clients.clock import SystemClock
from slipway.clients.migrators import Migrating, migrator_of
from slipway.clients.migrators.lock import KEY
from slipway.errors import Cancelled, DeployFailed, Refused, UsageError
from slipway.release import migrating
from slipway.release.migrating import Expanded
from tests.database.conftest import TeamOf
from tests.database.migrating import Team, codes, with_orders
from tests.database.written import BIN

ROOT = Path(__file__).parents[2]
EXTRA = ("20260201", "CREATE TABLE extra (id int);", "DROP TABLE extra;")


@pytest.fixture
def plain(team_of: TeamOf) -> Team:
    return team_of("sql")


@pytest.fixture
def dbmate(team_of: TeamOf) -> Team:
    return team_of("dbmate")


def run_dbmate(team: Team, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "dbmate"), "--no-dump-schema", *command],
        cwd=team.root,
        env={"DATABASE_URL": team.url, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_from_an_old_checkout_dbmate_reverts_another_one_and_we_do_not(dbmate: Team) -> None:
    dbmate.write("20260201", "CREATE TABLE two (id int);", "DROP TABLE two;")
    dbmate.expanded("2.1-two")
    dbmate.write("20260301", "CREATE TABLE three (id int);", "DROP TABLE three;")
    done = dbmate.expanded("3.1-three")
    kept = (dbmate.directory / "20260301_step.sql").read_text()
    (dbmate.directory / "20260301_step.sql").unlink()

    reverted = dbmate.revert(done)
    migrator = dbmate.migrator()
    with migrator.locked(), pytest.raises(UsageError, match="no file"):
        migrator.revert("20260301")

    assert codes(reverted) == {"changed-file"}
    assert dbmate.applied() == ["20260101", "20260201", "20260301"]
    # What it would have been:
    assert run_dbmate(dbmate, "rollback").returncode == 0
    assert dbmate.applied() == ["20260101", "20260301"]
    (dbmate.directory / "20260301_step.sql").write_text(kept)


def test_an_empty_down_is_refused_and_never_forgets_the_version(dbmate: Team) -> None:
    dbmate.write("20260201", "CREATE TABLE extra (id int);", "-- DROP TABLE extra;")

    reverted = dbmate.revert(dbmate.expanded())

    assert "no-down" in codes(reverted)
    assert dbmate.applied() == ["20260101", "20260201"]


def at_once(teams: Sequence[Team], releases: Sequence[str]) -> list[Expanded | None]:
    got: list[Expanded | None] = []

    def run(team: Team, release: str) -> None:
        got.append(team.expand(release))

    threads = [
        threading.Thread(target=run, args=pair) for pair in zip(teams, releases, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return got


@pytest.mark.parametrize("tool", ["dbmate", "sql"])
def test_two_runners_at_once_apply_it_once(tool: str, tmp_path: Path, database: Database) -> None:
    team = with_orders(Team(root=tmp_path, database=database, tool=tool))  # type: ignore[arg-type]
    team.write("20260201", "SELECT pg_sleep(1); CREATE TABLE extra (id int);", "DROP TABLE extra;")

    got = at_once([replace(team), replace(team), replace(team)], ["7.1-a", "7.1-a", "8.1-b"])

    ours = [done for done in got if done is not None]
    assert len(got) == 3  # none of them failed
    assert {m.version for done in ours for m in done.applied} == {"20260201"}
    holders = team.sql("SELECT release FROM deploy.migrations WHERE version = '20260201'")
    assert len(ours) == (2 if holders == [("7.1-a",)] else 1)
    assert any("waiting for the lock of migrations (held by slipway" in said for said in team.said)


def test_a_lock_that_is_not_given_back_is_not_waited_for_for_ever(plain: Team) -> None:
    plain.write(*EXTRA)
    done = plain.expanded()
    plain.write("20260301", "CREATE TABLE three (id int);", "DROP TABLE three;")
    plain.wait = 1.2
    with psycopg.connect(plain.url, autocommit=True, application_name="somebody") as other:
        other.execute("SELECT pg_advisory_lock(hashtext(%s))", (KEY,))
        began = time.monotonic()

        with pytest.raises(Refused, match=r"somebody else .* \(held by somebody"):
            plain.expand("800.1-x")
        reverted = plain.revert(done)

    assert time.monotonic() - began < 10
    assert codes(reverted) == {"unknown"}
    assert plain.applied() == ["20260101", "20260201"]


DIES = """
import sys
from pathlib import Path
from sandbox.postgres import Database
from tests.database.migrating import Team
team = Team(root=Path(sys.argv[1]), tool=sys.argv[2],
            database=Database(name="", admin="", owner=sys.argv[3], app="", checks=""))
team.expand("7.1-a")
"""


@pytest.mark.parametrize("tool", ["dbmate", "sql"])
def test_who_is_killed_half_way_leaves_no_tool_behind_and_the_next_attempt_goes_on(
    tool: str, tmp_path: Path, database: Database
) -> None:
    team = with_orders(Team(root=tmp_path, database=database, tool=tool))  # type: ignore[arg-type]
    team.write(*EXTRA)
    team.write("20260202", "SELECT pg_sleep(3); CREATE TABLE slow (id int);", "DROP TABLE slow;")
    child = subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path), tool, database.owner],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        until = time.monotonic() + 20
        while "extra" not in team.tables() and time.monotonic() < until:
            time.sleep(0.05)
        tools = psutil.Process(child.pid).children(recursive=True)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)

    _, alive = psutil.wait_procs(tools, timeout=1.5)
    # Whose parent died is waited for by another one, sooner or later.
    assert not [tool for tool in alive if tool.status() != psutil.STATUS_ZOMBIE]
    assert bool(tools) == (tool == "dbmate")
    done = team.expanded("7.2-a")

    assert [m.version for m in done.applied] == ["20260201", "20260202"]
    assert team.applied() == ["20260101", "20260201", "20260202"]
    rows = team.sql("SELECT count(*) FROM deploy.migrations WHERE applied_at IS NULL")
    assert rows == [(0,)]


def test_what_is_cancelled_is_killed_and_written_down(dbmate: Team) -> None:
    dbmate.write(*EXTRA)
    dbmate.write("20260202", "SELECT pg_sleep(20);", "SELECT 1;")
    ports = dbmate.ports()
    clock = ports.clock
    assert isinstance(clock, SystemClock)
    migrator = on_clock(dbmate, clock)
    began = time.monotonic()

    def cancel() -> None:
        while "extra" not in dbmate.tables():
            time.sleep(0.05)
        clock.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled):
        migrating.expand(replace(ports, migrator=migrator), dbmate.settings, "7.1-a")
    thread.join(10)

    assert time.monotonic() - began < 10
    rows = dbmate.sql("SELECT version, applied_at IS NOT NULL FROM deploy.migrations ORDER BY 1")
    assert rows == [("20260101", True), ("20260201", True)]
    assert any("not applied: 20260202" in said for said in dbmate.said)


def on_clock(team: Team, clock: SystemClock) -> Migrating:
    return migrator_of(
        team.settings,
        team.url,
        root=team.root,
        environ=team.environ,
        clock=clock,
        notice=team.said.append,
    )


def test_a_tool_that_takes_too_long_is_killed(dbmate: Team) -> None:
    dbmate.keys["timeout"] = "1s"
    dbmate.write("20260201", "SELECT pg_sleep(20);", "SELECT 1;")
    began = time.monotonic()

    with pytest.raises(DeployFailed, match=r"had not ended after 1 s.*not applied: 20260201"):
        dbmate.expand()

    assert time.monotonic() - began < 12
    assert dbmate.applied() == ["20260101"]


def test_one_that_fails_half_way_back_says_what_is_reverted_and_what_is_not(plain: Team) -> None:
    plain.write(*EXTRA)
    plain.write(
        "20260202", "ALTER TABLE extra ADD COLUMN a int;", "ALTER TABLE extra DROP COLUMN a;"
    )
    done = plain.expanded()
    # Somebody made a view of it since: dropping the table fails, dropping the column does not.
    plain.sql("CREATE VIEW theirs AS SELECT id FROM extra")

    reverted = plain.revert(done)

    assert not reverted.done
    assert not reverted.refusals
    assert "reverted: 20260202; still applied: 20260201" in reverted.sentence
    assert "theirs" in reverted.sentence or "depend" in reverted.sentence
    assert plain.applied() == ["20260101", "20260201"]
    assert plain.columns("extra") == ["id"]


@pytest.mark.parametrize("tool", ["dbmate", "alembic", "sql"])
def test_neither_address_nor_password_is_shown(
    tool: str, tmp_path: Path, database: Database
) -> None:
    team = Team(root=tmp_path, database=database, tool=tool)  # type: ignore[arg-type]
    team.write("20260101", "SELECT secret FROM nowhere;", "SELECT 1;")
    password = psycopg.conninfo.conninfo_to_dict(team.url)["password"]

    with pytest.raises(DeployFailed) as failed:
        team.expand()
    wrong = replace(team, database=replace(database, owner=database.owner.replace("@", "x@")))
    with pytest.raises(Refused) as refused:
        wrong.preflight()

    said = f"{failed.value.found} {refused.value.found} {team.said}"
    assert "nowhere" in said
    assert str(password) not in said
    assert team.url not in said


def test_what_the_repository_or_the_job_says_to_dbmate_changes_nothing(dbmate: Team) -> None:
    dbmate.write(*EXTRA)
    (dbmate.root / ".env").write_text(
        "DBMATE_MIGRATIONS_TABLE=other\nDATABASE_URL=postgres://x/y\n"
    )
    environ = {
        **dbmate.environ,
        "DBMATE_MIGRATIONS_DIR": "/nowhere",
        "DBMATE_DRIVER": "mysql",
        "DATABASE_URL": "postgres://x/y",
    }

    done = replace(dbmate, environ=environ).expanded()

    assert [m.version for m in done.applied] == ["20260201"]
    assert not (dbmate.root / "db/schema.sql").exists()


def test_names_that_want_to_be_sql_are_names(plain: Team) -> None:
    plain.keys["lossy"] = "archive"
    evil = '"x""; DROP TABLE orders; --"'
    plain.write(
        "20260201",
        f"CREATE TABLE {evil} (id int PRIMARY KEY);\n"
        'ALTER TABLE orders ADD COLUMN "a""); --" text, ADD COLUMN "ä ö" text;',
        f'DROP TABLE {evil};\nALTER TABLE orders DROP COLUMN "a""); --", DROP COLUMN "ä ö";',
    )
    done = plain.expanded()
    plain.sql(f"INSERT INTO {evil} VALUES (1)")  # noqa: S608
    plain.sql("""UPDATE orders SET "a""); --" = 'x', "ä ö" = 'y' WHERE id = 3""")

    reverted = plain.revert(done)

    assert reverted.done, reverted
    assert plain.sql('SELECT id, "a""); --", "ä ö" FROM deploy.archive_20260201_orders') == [
        (3, "x", "y")
    ]
    assert plain.sql("SELECT count(*) FROM orders") == [(100,)]
    assert len(plain.tables("deploy") & {t for t in plain.tables("deploy") if "archive" in t}) == 2


def test_a_long_name_gets_an_archive_of_its_own_each_time(plain: Team) -> None:
    plain.keys["lossy"] = "archive"
    one, two = "t" * 60 + "one", "t" * 60 + "two"
    plain.write(
        "20260201",
        f"CREATE TABLE {one} (id int);\nCREATE TABLE {two} (id int);",
        f"DROP TABLE {one};\nDROP TABLE {two};",
    )
    for turn in (1, 2):
        done = plain.expanded(f"{turn}.1-x")
        plain.sql(f"INSERT INTO {one} VALUES ({turn})")  # noqa: S608
        plain.sql(f"INSERT INTO {two} VALUES ({turn}), ({turn})")  # noqa: S608
        assert plain.revert(done).done

    assert len([t for t in plain.tables("deploy") if t.startswith("archive_")]) == 4


def test_a_file_that_ends_its_own_transaction_is_an_error(plain: Team) -> None:
    plain.write("20260201", "CREATE TABLE a (id int);\nCOMMIT;\nCREATE TABLE b (id int);", None)

    with pytest.raises(DeployFailed, match=r"ended the transaction.*not applied: 20260201"):
        plain.expand()


def test_something_older_than_what_is_applied_is_refused(plain: Team) -> None:
    plain.write("20251231", "CREATE TABLE late (id int);", "DROP TABLE late;")

    with pytest.raises(Refused, match="older than the newest applied"):
        plain.preflight()
    with pytest.raises(Refused, match="older than the newest applied"):
        plain.expand()


def test_a_tool_that_is_not_there_is_said_before_anything_happens(dbmate: Team) -> None:
    dbmate.write(*EXTRA)

    with pytest.raises(Refused, match="dbmate is not in the PATH"):
        replace(dbmate, environ={"PATH": "/nowhere"}).preflight()


def test_a_database_that_is_not_there_is_said_before_anything_happens(plain: Team) -> None:
    gone = replace(plain.database, owner="postgresql://owner:x@127.0.0.1:1/none")

    with pytest.raises(Refused, match="cannot be reached"):
        replace(plain, database=gone).preflight()


WIPES = {"up", "down", "drop", "reset", "load", "create", "--url", "-u"}


@pytest.mark.parametrize("tool", ["dbmate", "alembic"])
def test_no_command_is_ever_one_that_wipes(tool: str, tmp_path: Path, database: Database) -> None:
    team = Team(root=tmp_path / "team", database=database, tool=tool)  # type: ignore[arg-type]
    (tmp_path / "bin").mkdir()
    wrapper, log = tmp_path / "bin" / tool, tmp_path / "log"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{log}\nexec {BIN}/{tool} "$@"\n')
    wrapper.chmod(0o755)
    team.environ = {**team.environ, "PATH": f"{tmp_path}/bin:{team.environ['PATH']}"}
    with_orders(team)
    team.write(*EXTRA)

    assert team.revert(team.expanded()).done

    words = set(log.read_text().split())
    assert words & {"migrate", "upgrade"}
    assert words & {"rollback", "downgrade"}
    assert not words & WIPES
    assert team.url not in log.read_text()


def test_no_source_names_a_command_that_wipes() -> None:
    for path in (ROOT / "scripts/slipway/clients/migrators").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in WIPES, path
                assert "migration down" not in node.value, path
                assert "db reset" not in node.value, path
