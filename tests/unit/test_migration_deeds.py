"""What SQL makes and takes: what is understood adds up, and what is not is said to be so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.migrations.deeds import Deeds, deeds_of, taken_back
from slipway.migrations.rules import probes_of
from slipway.ports import Probe

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
quoted = st.text(min_size=1, max_size=8).map(lambda s: '"' + s.replace('"', '""') + '"')


def objections(up: str, down: str) -> list[str]:
    one, two = deeds_of(up), deeds_of(down)
    foreign = [str(thing) for thing in (*two.takes, *two.writes) if not one.made(thing)]
    said = [*one.unread, *two.unread, *one.alone, *two.alone, *two.changes, *foreign]
    return [*said, *taken_back(one, two)]


@given(st.lists(st.tuples(names, names), min_size=1, max_size=6, unique_by=lambda pair: pair[0]))
def test_what_is_added_and_dropped_again_is_not_objected_to(
    parts: list[tuple[str, str]],
) -> None:
    up = "".join(
        f"CREATE TABLE t_{table} (id int PRIMARY KEY);\n"
        f"ALTER TABLE old ADD COLUMN c_{table} text;\n"
        f"CREATE INDEX i_{table} ON old (c_{table});\n"
        f"CREATE INDEX j_{table} ON old (id);\n"
        f"ALTER TABLE t_{table} ADD COLUMN c_{column} int;\n"
        for table, column in parts
    )
    down = "".join(
        f"DROP INDEX j_{table};\nALTER TABLE old DROP COLUMN c_{table};\nDROP TABLE t_{table};\n"
        for table, _ in reversed(parts)
    )

    assert objections(up, down) == []
    assert set(probes_of(deeds_of(up), deeds_of(down))) == {
        probe
        for table, _ in parts
        for probe in (
            Probe(schema=None, table=f"t_{table}"),
            Probe(schema=None, table="old", column=f"c_{table}"),
        )
    }


@given(names, names)
def test_what_the_release_did_not_make_is_never_its_to_drop(made: str, other: str) -> None:
    up, down = f"CREATE TABLE a_{made} (id int);", f"DROP TABLE a_{made}, b_{other};"

    assert f"table b_{other}" in objections(up, down)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO x",
        "ALTER TABLE old ATTACH PARTITION p DEFAULT",
        "ALTER TABLE old DISABLE TRIGGER ALL",
        "ALTER TABLE old SET SCHEMA other",
        "CALL anything()",
        "COPY old TO PROGRAM 'rm -rf /'",
        "CREATE EXTENSION pgcrypto",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM old RETURNING 1 $$",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "CREATE RULE r AS ON SELECT TO old DO INSTEAD NOTHING",
        "CREATE TRIGGER t BEFORE INSERT ON old FOR EACH ROW EXECUTE FUNCTION f()",
        "DO $$ BEGIN DELETE FROM old; END $$",
        "DROP FUNCTION f()",
        "DROP OWNED BY x",
        "INSERT INTO fresh SELECT dangerous()",
        "LOCK TABLE old",
        "MERGE INTO fresh USING old ON true WHEN MATCHED THEN DELETE",
        "NOTIFY x",
        "REASSIGN OWNED BY x TO y",
        "REFRESH MATERIALIZED VIEW v",
        "REINDEX TABLE old",
        "SELECT * INTO x FROM old",
        "SELECT setval('s', 1)",
        "SET ROLE postgres",
        "SET search_path = x",
        "SET session_replication_role = replica",
        "WITH x AS (DELETE FROM old RETURNING 1) INSERT INTO fresh SELECT * FROM x",
        "ALTER TABLE fresh RENAME TO old",
        "\\! rm -rf /",
        "this is no sql",
        "VACUUM",
        "REVOKE ALL ON old FROM x",
        "TRUNCATE old",
        "UPDATE old SET a = 1",
        "DELETE FROM old",
        "GRANT ALL ON old TO x",
        "COMMENT ON TABLE old IS 'x'",
        "CREATE INDEX ON old (id)",
        "ALTER TABLE old ADD CHECK (id > 0)",
        "ALTER TABLE IF EXISTS old ADD COLUMN x int",
        "ALTER TABLE old ADD COLUMN IF NOT EXISTS x int",
        "CREATE TABLE IF NOT EXISTS other (id int)",
        "DROP TABLE old",
    ],
)
@pytest.mark.parametrize("side", ["up", "down"])
def test_a_statement_that_is_not_one_of_the_few_is_objected_to(statement: str, side: str) -> None:
    up, down = "CREATE TABLE fresh (id int);", "DROP TABLE fresh;"
    if side == "up":
        up = f"{up}\n{statement};"
    else:
        down = f"{statement};\n{down}"

    assert objections(up, down)


@given(st.text(max_size=60))
def test_whatever_is_added_to_a_down_it_is_read_or_objected_to(text: str) -> None:
    """It must never be taken for more than it is: what it drops is only what was made."""
    deeds = deeds_of(f"DROP TABLE fresh;\n{text}")

    assert isinstance(deeds, Deeds)


@given(quoted, quoted)
def test_names_in_quotes_are_kept_as_they_are(table: str, column: str) -> None:
    if "\x00" in table + column:
        return
    up = f"ALTER TABLE {table} ADD COLUMN {column} int;"
    (made,) = deeds_of(up).makes

    assert made.table == table[1:-1].replace('""', '"')
    assert made.name == column[1:-1].replace('""', '"')


@pytest.mark.parametrize("one", ["Orders", "ORDERS", '"orders"'])
def test_names_without_quotes_are_small_letters(one: str) -> None:
    assert objections(f"CREATE TABLE {one} (id int);", "DROP TABLE orders;") == []


def test_a_name_in_quotes_is_another_than_without() -> None:
    assert objections('CREATE TABLE "Orders" (id int);', "DROP TABLE Orders;")


def test_what_goes_with_a_table_goes_with_it() -> None:
    up = """
    CREATE TABLE fresh (id int PRIMARY KEY, at timestamptz);
    CREATE INDEX fresh_at ON fresh (at);
    ALTER TABLE fresh ADD CONSTRAINT k CHECK (id > 0);
    ALTER TABLE fresh ENABLE ROW LEVEL SECURITY;
    CREATE POLICY "own rows" ON fresh FOR SELECT USING (true);
    GRANT SELECT ON fresh TO app;
    COMMENT ON COLUMN fresh.at IS 'when';
    INSERT INTO fresh VALUES (1, now());
    SET lock_timeout = '5s';
    """
    assert objections(up, "DROP TABLE fresh;") == []
