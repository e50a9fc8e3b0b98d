"""Every rule that refuses to revert a migration, each by a case on a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from slipway.migrations.rules import RULES, UNKNOWN
from slipway.ports import Finding
from slipway.release.migrating import Expanded, Reverted
from tests.database.conftest import TeamOf
from tests.database.migrating import Team, codes, fails, old

V = "20260201"
ADD = "ALTER TABLE orders ADD COLUMN note text;"
DROP = "ALTER TABLE orders DROP COLUMN note;"
NOTED = "UPDATE orders SET note = 'x' WHERE id <= 40"


def released(team: Team, up: str = ADD, down: str | None = DROP) -> Expanded:
    team.write(V, up, down)
    return team.expanded()


def plainly(up: str = ADD, down: str | None = DROP) -> Callable[[Team], Reverted]:
    return lambda team: team.revert(released(team, up, down))


def with_keys(**keys: str) -> Callable[[Team], Reverted]:
    def run(team: Team) -> Reverted:
        team.keys |= keys
        return team.revert(released(team))

    return run


def backed_up(hours: float | None) -> Callable[[Team], Reverted]:
    """``hours``: ago, when it is run and not when it is read."""

    def run(team: Team) -> Reverted:
        team.backup_at = None if hours is None else old(hours)
        return team.revert(released(team))

    return run


def written(**keys: str) -> Callable[[Team], Reverted]:
    def run(team: Team) -> Reverted:
        team.keys |= keys
        done = released(team)
        team.sql(NOTED)
        return team.revert(done)

    return run


def _error(team: Team) -> Reverted:
    return team.revert(released(team), failing=[fails(V, finding=Finding.ERROR)])


def _one_error(team: Team) -> Reverted:
    checks = [fails(V), fails(V, finding=Finding.ERROR)]
    return team.revert(released(team), failing=checks)


def _nothing_fails(team: Team) -> Reverted:
    return team.revert(released(team), failing=[])


def _names_another(team: Team) -> Reverted:
    return team.revert(released(team), failing=[fails("20260101")])


def _serving(team: Team) -> Reverted:
    return team.revert(released(team), serving=["bot-canary has an instance"])


def _share(share: float | None) -> Callable[[Team], Reverted]:
    return lambda team: team.revert(released(team), share=share)


def _migrated_since(team: Team) -> Reverted:
    done = released(team)
    team.write("20260301", "CREATE TABLE theirs (id int);", "DROP TABLE theirs;")
    team.expanded("999.1-theirs")
    return team.revert(done)


def _reverted_by_hand(team: Team) -> Reverted:
    done = released(team)
    team.sql("DELETE FROM deploy.applied WHERE version = %s", V)
    return team.revert(done)


def _edited(team: Team) -> Reverted:
    done = released(team)
    team.write(V, ADD, f"{DROP}\nDROP TABLE orders;")
    return team.revert(done)


def _file_gone(team: Team) -> Reverted:
    done = released(team)
    for file in team.directory.glob(f"{V}*"):
        file.unlink()
    return team.revert(done)


def _no_record(team: Team) -> Reverted:
    done = released(team)
    team.sql("DELETE FROM deploy.migrations WHERE version = %s", V)
    return team.revert(done)


def _unproven(team: Team) -> Reverted:
    team.proven = False
    return team.revert(released(team))


def _other_proven(team: Team) -> Reverted:
    done = released(team)
    team.proven, team.trips = False, {V: "0" * 64}
    return team.revert(done)


def _database_gone(team: Team) -> Reverted:
    done = released(team)
    ports = team.ports()
    team.database.run("SELECT 1")
    team.sql("DROP TABLE orders")  # what is to be counted is not there
    return team.revert(done, ports=ports)


def _unkeyed(team: Team) -> Reverted:
    team.keys["lossy"] = "archive"
    team.write("20260115", "CREATE TABLE log (line text);", "DROP TABLE log;")
    team.expanded("2.1-before")
    done = released(
        team, "ALTER TABLE log ADD COLUMN note text;", "ALTER TABLE log DROP COLUMN note;"
    )
    team.sql("INSERT INTO log VALUES ('a', 'b')")
    return team.revert(done)


@dataclass(frozen=True, slots=True)
class Case:
    """One way to be refused: by this rule, for something that is said."""

    code: str
    says: str
    run: Callable[[Team], Reverted]


CASES = {
    "slipway.yml says never": Case("never", "revert: never", with_keys(revert="never")),
    "the check was an error": Case("not-a-failure", "error", _error),
    "one of two checks was an error": Case("not-a-failure", "error", _one_error),
    "no check fails": Case("not-a-failure", "no check", _nothing_fails),
    "the check names another": Case("not-named", V, _names_another),
    "an instance lives": Case("still-serving", "bot-canary", _serving),
    "the edge sends some there": Case("still-serving", "5 %", _share(5.0)),
    "what the edge does is not known": Case("still-serving", "not known", _share(None)),
    "no backup is known": Case("no-backup", "not known", backed_up(None)),
    "the backup is old": Case("no-backup", "30.0 h old", backed_up(30)),
    "the backup is yet to come": Case("no-backup", "yet to come", backed_up(-48)),
    "somebody migrated since": Case("not-newest", "20260301", _migrated_since),
    "it was reverted by hand": Case("not-newest", "20260101", _reverted_by_hand),
    "the file was edited": Case("changed-file", "not the one", _edited),
    "the file is gone": Case("changed-file", "not in the checkout", _file_gone),
    "there is no record": Case("changed-file", "no record", _no_record),
    "the down is missing": Case("no-down", "nothing that reverts", plainly(down=None)),
    "the down is empty": Case("no-down", "nothing that reverts", plainly(down=" ;\n")),
    "the down is a comment": Case(
        "no-down", "nothing that reverts", plainly(down="-- DROP TABLE x;\n/* /* */ DROP y */")
    ),
    "it is marked": Case(
        "no-down", "irreversible", plainly(down=f"-- deploy: irreversible\n{DROP}")
    ),
    "it is a contract": Case(
        "contract",
        "deploy: contract",
        plainly(
            "-- deploy: contract\nALTER TABLE orders DROP COLUMN total;",
            "ALTER TABLE orders ADD COLUMN total numeric;",
        ),
    ),
    "the down vacuums": Case("no-transaction", "VACUUM", plainly(down=f"{DROP}\nVACUUM orders;")),
    "the down is concurrent": Case(
        "no-transaction",
        "CONCURRENTLY",
        plainly("CREATE INDEX note ON orders (id);", "DROP INDEX CONCURRENTLY note;"),
    ),
    "the down commits": Case("no-transaction", "COMMIT", plainly(down=f"{DROP}\nCOMMIT;")),
    "a value of a type": Case(
        "no-transaction",
        "ADD VALUE",
        plainly(
            "CREATE TYPE state AS ENUM ('a'); ALTER TYPE state ADD VALUE 'b';", "DROP TYPE state;"
        ),
    ),
    "the down is code": Case(
        "unread", "DO", plainly(down="DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$;")
    ),
    "the down cannot be parsed": Case("unread", "", plainly(down="DROP ((( orders;")),
    "the down asks a function": Case("unread", "SELECT", plainly(down="SELECT pg_sleep(0);")),
    "the up is code": Case("unread", "DO", plainly(f"{ADD}\nDO $$ BEGIN PERFORM 1; END $$;")),
    "the search path is changed": Case(
        "unread", "search_path", plainly(down=f"SET search_path = other;\n{DROP}")
    ),
    "the down drops another table": Case(
        "not-ours", "table orders", plainly(down=f"{DROP}\nDROP TABLE orders;")
    ),
    "the down drops another column": Case(
        "not-ours", "total", plainly(down=f"{DROP}\nALTER TABLE orders DROP COLUMN total;")
    ),
    "the down drops in another schema": Case(
        "not-ours", "public", plainly(down="ALTER TABLE public.orders DROP COLUMN note;")
    ),
    "the down cascades": Case(
        "not-ours", "CASCADE", plainly("CREATE TABLE extra (id int);", "DROP TABLE extra CASCADE;")
    ),
    "the down deletes rows": Case(
        "not-ours", "rows of table orders", plainly(down=f"{DROP}\nDELETE FROM orders;")
    ),
    "the down truncates": Case(
        "not-ours", "rows of table orders", plainly(down=f"{DROP}\nTRUNCATE orders;")
    ),
    "the down updates rows": Case(
        "not-ours", "orders.total", plainly(down=f"{DROP}\nUPDATE orders SET total = 0;")
    ),
    "the down changes a type": Case(
        "not-ours", "TYPE", plainly(down=f"{DROP}\nALTER TABLE orders ALTER COLUMN total TYPE int;")
    ),
    "the down renames": Case(
        "not-ours", "RENAME", plainly(down="ALTER TABLE orders RENAME COLUMN note TO note_old;")
    ),
    "it may have been there before": Case(
        "not-ours",
        "did not make",
        plainly("CREATE TABLE IF NOT EXISTS orders (id int);", "DROP TABLE orders;"),
    ),
    "the down leaves a table": Case(
        "leaves", "table extra", plainly(f"{ADD}\nCREATE TABLE extra (id int);")
    ),
    "rows from before were changed": Case(
        "leaves", "orders.total", plainly(f"{ADD}\nUPDATE orders SET total = total * 2;")
    ),
    "rows from before were deleted": Case(
        "leaves", "rows of table orders", plainly(f"{ADD}\nDELETE FROM orders WHERE id = 1;")
    ),
    "a column holds what was written": Case("loses-data", "40 rows", written()),
    "a table holds what was written": Case(
        "loses-data",
        "1 rows",
        plainly("CREATE TABLE extra (id int);\nINSERT INTO extra VALUES (1);", "DROP TABLE extra;"),
    ),
    "an archive could not name the rows": Case("loses-data", "no primary key", _unkeyed),
    "it was not seen to go back": Case("no-round-trip", "not seen", _unproven),
    "another file went back": Case("no-round-trip", "another file", _other_proven),
    "what would be lost cannot be counted": Case("unknown", "orders", _database_gone),
}


@pytest.fixture
def team(team_of: TeamOf) -> Team:
    return team_of("sql")


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_nothing_is_reverted_and_it_is_said_why(team: Team, case: Case) -> None:
    reverted = case.run(team)

    assert not reverted.done
    assert case.code in codes(reverted), reverted
    said = [refusal.found for refusal in reverted.refusals if refusal.code == case.code]
    assert any(case.says in found for found in said), said
    assert reverted.remedy
    assert "no migration was reverted" in reverted.sentence
    if case.code not in ("unknown", "not-newest"):
        assert V in team.applied()
        lines = {row[0] for row in team.sql("SELECT version FROM deploy.migrations")}
        assert {V} - lines <= ({V} if "no record" in case.says else set())


def test_every_rule_has_a_case() -> None:
    assert {case.code for case in CASES.values()} == {rule.code for rule in (*RULES, UNKNOWN)}


def test_the_plainest_case_breaks_no_rule(team: Team) -> None:
    """Else the table above proves nothing."""
    assert plainly()(team).done


def test_a_migration_outside_a_transaction_is_not_reverted(team_of: TeamOf) -> None:
    team = team_of("dbmate")
    team.write(V, ADD, DROP, options=" transaction:false")

    assert "no-transaction" in codes(team.revert(team.expanded()))


def test_a_revision_that_raises_is_irreversible(team_of: TeamOf) -> None:
    team = team_of("alembic")
    team.write(V, ADD, None)

    reverted = team.revert(team.expanded())

    assert "no-down" in codes(reverted)
    assert any("irreversible" in refusal.found for refusal in reverted.refusals)


def test_one_refusal_keeps_the_other_migrations_too(team: Team) -> None:
    team.write(V, ADD, None)
    team.write("20260202", "CREATE TABLE extra (id int);", "DROP TABLE extra;")

    reverted = team.revert(team.expanded())

    assert not reverted.done
    assert team.applied() == ["20260101", V, "20260202"]
    assert "extra" in team.tables()


def test_rows_that_row_security_hides_are_not_taken_for_none(team: Team) -> None:
    done = released(team)
    team.sql(NOTED)
    team.sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    team.sql("ALTER TABLE orders FORCE ROW LEVEL SECURITY")

    assert codes(team.revert(done)) == {"unknown"}
