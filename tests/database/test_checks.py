"""A check reads, and nothing else: against a real PostgreSQL."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from sandbox.postgres import Database, Postgres
from slipway.clients.postgres import CONNECT, SLACK, PostgresChecks
from slipway.errors import UsageError
from slipway.ports import MOST, Check, Checked, Finding
from tests.database.silent import between


@pytest.fixture
def shop(database: Database) -> Database:
    """Three orders, one of which belongs to nobody."""
    with psycopg.connect(database.owner) as owner:
        owner.execute("CREATE TABLE shops (id bigint PRIMARY KEY, email text)")
        owner.execute(
            "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " shop_id bigint, buyer text NOT NULL, total int NOT NULL)"
        )
        owner.execute("INSERT INTO shops VALUES (1, 'anna@shops.example')")
        owner.execute(
            "INSERT INTO orders (shop_id, buyer, total) VALUES"
            " (1, 'anna@x.example', 5), (1, '15551234567', 7), (NULL, 'carl', 9)"
        )
    return database


def run(
    address: str, sql: str, timeout: float = 3.0, schemas: tuple[str, ...] = ("public",)
) -> Checked:
    checks = PostgresChecks(address, schemas=schemas, timeout=timeout)
    return checks.check(Check(name="it", sql=sql))


def orders(database: Database) -> int:
    ((count,),) = database.run("SELECT count(*) FROM orders")
    return int(count)


def test_no_rows_pass_and_rows_fail_with_their_number_and_their_keys(shop: Database) -> None:
    assert run(shop.checks, "SELECT id FROM orders WHERE total < 0").finding is Finding.PASS
    found = run(shop.checks, "SELECT id, buyer FROM orders WHERE shop_id IS NULL")
    assert (found.finding, found.rows, found.keys) == (Finding.FAIL, 1, ("3",))


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT 1; DELETE FROM orders", "42601"),
        ("WITH d AS (DELETE FROM orders RETURNING id) SELECT * FROM d", "0A000"),
        ("SET TRANSACTION READ WRITE", "42601"),
        ("DELETE FROM orders RETURNING id", "42601"),
        ("SELECT nextval('orders_id_seq')", "25006"),
        ("SELECT id FROM orders FOR UPDATE", "25006"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "25001"),
        ("SELECT id FROM ordres", 'relation "ordres" does not exist'),
        ("SELECT pg_sleep(30)", "longer than it may"),
        # It closes the parenthesis by itself, and opens another one for the end of ours.
        (
            "SELECT 1) AS o (slipway_key) LIMIT 1) AS c; DELETE FROM orders; "
            "SELECT count(*) FROM (SELECT 1 FROM (SELECT 1",
            "42601",
        ),
        (
            "SELECT 1) AS o (slipway_key) LIMIT 1) AS c; COMMIT; BEGIN READ WRITE; "
            "DELETE FROM orders; COMMIT; SELECT count(*) FROM (SELECT 1 FROM (SELECT 1",
            "42601",
        ),
    ],
)
def test_whatever_does_more_than_read_is_an_error_and_changes_nothing(
    shop: Database, sql: str, why: str
) -> None:
    # As a superuser: it is not the rights of the role that keep it from writing.
    found = run(shop.admin, sql, timeout=0.5)
    assert found.finding is Finding.ERROR
    assert why in found.why
    assert not found.unreachable
    assert orders(shop) == 3
    assert database_sequence(shop) == 3


def database_sequence(database: Database) -> int:
    ((last,),) = database.run("SELECT last_value FROM orders_id_seq")
    return int(last)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 WHERE false -- no rows",
        "SELECT 1 WHERE false /* ; */",
        "SELECT 1 AS a, 2 AS a WHERE false",
        "WITH x AS (SELECT 1 AS a) SELECT * FROM x WHERE a > 1 ORDER BY 1",
        "SELECT id FROM orders WHERE buyer LIKE '%s%%d%' AND buyer = ''",
        "SELECT id FROM orders WHERE false UNION ALL SELECT id FROM shops WHERE false",
    ],
)
def test_every_way_to_write_one_select_can_be_run(shop: Database, sql: str) -> None:
    found = run(shop.checks, sql)
    assert (found.finding, found.why) == (Finding.PASS, "")


def test_rows_that_are_hidden_from_the_role_are_an_error_and_never_a_pass(shop: Database) -> None:
    sql = "SELECT id FROM orders WHERE shop_id IS NULL"
    shop.run("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert run(shop.checks, sql).finding is Finding.FAIL
    shop.run("ALTER ROLE checks NOBYPASSRLS")
    try:
        with psycopg.connect(shop.checks) as trap:
            assert trap.execute(sql).fetchall() == []
        found = run(shop.checks, sql)
    finally:
        shop.run("ALTER ROLE checks BYPASSRLS")
    assert found.finding is Finding.ERROR
    assert "BYPASSRLS" in found.why


def test_names_without_a_schema_are_looked_for_where_slipway_yml_says(shop: Database) -> None:
    shop.run("CREATE SCHEMA archive AUTHORIZATION owner")
    shop.run("CREATE TABLE archive.old (id int)")
    assert run(shop.checks, "SELECT id FROM old").finding is Finding.ERROR
    assert run(shop.checks, "SELECT id FROM old", schemas=("archive",)).finding is Finding.PASS


def test_a_function_of_the_users_cannot_take_the_place_of_the_servers(shop: Database) -> None:
    shop.run("CREATE FUNCTION public.count(text) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'")
    shop.run("CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT NULL'")
    found = run(shop.checks, "SELECT id FROM orders")
    assert (found.rows, found.keys) == (3, ("1", "2", "3"))


@pytest.mark.parametrize(
    ("sql", "keys"),
    [
        ("SELECT id FROM orders", ("1", "2", "3")),
        ("SELECT buyer FROM orders", ()),
        ("SELECT email FROM shops", ()),
        ("SELECT o FROM orders o", ()),
        ("SELECT '1999-12-24'", ()),
        ("SELECT 'ord-17'", ("ord-17",)),
        ("SELECT 'x1 | ::error::@all'", ()),
        ("SELECT E'a1\\n::set-output name=x::1'", ()),
        ("SELECT repeat('a1', 1000)", ()),
        ("SELECT NULL::int", ()),
        (
            "SELECT 'f2b7ba2e-8f3e-4e4f-9f35-8d6a1c3d5e7f'::uuid",
            ("f2b7ba2e-8f3e-4e4f-9f35-8d6a1c3d5e7f",),
        ),
    ],
)
def test_only_what_looks_like_the_key_of_a_row_is_shown(
    shop: Database, sql: str, keys: tuple[str, ...]
) -> None:
    found = run(shop.checks, sql)
    assert found.finding is Finding.FAIL
    assert found.keys == keys


@pytest.mark.parametrize(
    "sql",
    ["SELECT buyer::int FROM orders", "SELECT ('\"' || buyer)::json FROM orders WHERE id = 1"],
)
def test_an_error_quotes_no_value_of_a_row(shop: Database, sql: str) -> None:
    found = run(shop.checks, sql)
    assert found.finding is Finding.ERROR
    assert "anna" not in found.why


MANY = (
    "SELECT a.id, repeat('x', 1000) FROM generate_series(1, 50000) a (id)"
    " CROSS JOIN generate_series(1, 50000) b"
)


def test_an_endless_result_costs_neither_time_nor_memory(shop: Database) -> None:
    found = run(shop.checks, MANY)
    assert (found.finding, found.rows) == (Finding.FAIL, MOST)
    assert found.seconds < 2


def test_a_lock_on_the_table_is_not_waited_for(shop: Database) -> None:
    with psycopg.connect(shop.owner) as owner:
        owner.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        found = run(shop.checks, "SELECT id FROM orders", timeout=30)
    assert found.finding is Finding.ERROR
    assert "lock timeout" in found.why
    assert found.seconds < 3


def test_all_of_a_check_sees_the_database_at_one_moment(shop: Database) -> None:
    with psycopg.connect(shop.owner, autocommit=True) as owner:
        sql = "SELECT 1 WHERE (SELECT count(*) FROM orders) < 3 AND pg_sleep(0.3) IS NOT NULL"
        late = threading.Timer(0.1, owner.execute, ["DELETE FROM orders"])
        late.start()
        assert run(shop.checks, sql).finding is Finding.PASS
        late.join()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("port", "nothing listens at its port"),
        ("password", "was not accepted"),
        ("database", "does not exist"),
        ("host", "its host's name is not known"),
    ],
)
def test_a_database_that_is_not_there_is_an_error_that_keeps_the_address_to_itself(
    shop: Database, postgres: Postgres, wrong: str, why: str
) -> None:
    password = shop.checks.split(":")[2].split("@")[0]
    old, new = {
        "port": (f":{postgres.port}/", ":9/"),
        "password": (password, "hunter2"),
        "database": (f"/{shop.name}", "/no_such_database"),
        "host": ("127.0.0.1", "no-such-host.invalid"),
    }[wrong]
    found = run(shop.checks.replace(old, new), "SELECT 1")
    assert (found.finding, found.unreachable) == (Finding.ERROR, True)
    assert why in found.why
    for secret in (password, "hunter2", "no-such-host", "no_such_database", "checks@", "127.0.0"):
        assert secret not in found.why


@pytest.mark.parametrize("after", [b"", b"slipway_key"], ids=["at once", "in between"])
def test_a_server_that_says_nothing_more_is_not_waited_for(
    shop: Database, postgres: Postgres, after: bytes
) -> None:
    with between(postgres.port) as relay:
        relay.silent_after(after)
        address = shop.checks.replace(f":{postgres.port}/", f":{relay.port}/")
        threads = threading.active_count()
        began = time.monotonic()
        found = run(address, "SELECT 1", timeout=0.5)
        took = time.monotonic() - began
        assert (found.finding, found.unreachable) == (Finding.ERROR, True)
        assert took < CONNECT + SLACK + 2
        until = time.monotonic() + 5
        while threading.active_count() > threads + 2:  # the relay's own two of this connection
            assert time.monotonic() < until, "somebody waits for it still"
            time.sleep(0.05)


def test_a_connection_that_breaks_is_an_error(shop: Database) -> None:
    kill = threading.Timer(
        0.4,
        shop.run,
        ["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'checks'"],
    )
    kill.start()
    found = run(shop.checks, "SELECT pg_sleep(20)", timeout=10)
    kill.join()
    assert (found.finding, found.unreachable) == (Finding.ERROR, True)


def test_a_role_that_may_do_more_than_read_is_told(shop: Database) -> None:
    def cautions(address: str) -> str:
        checks = PostgresChecks(address, schemas=["public"], timeout=3)
        return "; ".join(checks.cautions())

    assert cautions(shop.checks) == ""
    assert "may write" in cautions(shop.app)
    assert "BYPASSRLS" in cautions(shop.app)
    assert "superuser" in cautions(shop.admin)
    assert cautions(shop.checks.replace("checks:", "nobody:")) == ""


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("not an address s3cret", "is no address"),
        ("https://user:s3cret@db.example/app", "is no address"),
        ("postgresql://user:s3cret%zz@db.example/app", "is no address"),
        ("postgresql://user:s3cret@/app", "names no host"),
        ("postgresql://user:s3cret@db.example", "names no database"),
        ("postgresql://db.example/app?password=s3cret", "names no role"),
    ],
)
def test_what_is_no_address_is_told_by_the_inputs_name_without_what_was_given(
    address: str, told: str
) -> None:
    with pytest.raises(UsageError, match="database-url") as raised:
        PostgresChecks(address, schemas=["public"], timeout=3)
    assert told in raised.value.found
    assert "s3cret" not in f"{raised.value.found}{raised.value.remedy}{raised.value!r}"


def test_an_address_of_the_internet_is_asked_over_tls_alone_unless_it_says_otherwise(
    shop: Database, postgres: Postgres
) -> None:
    def mode(address: str) -> str | None:
        checks = PostgresChecks(address, schemas=["public"], timeout=3)
        return psycopg.conninfo.conninfo_to_dict(checks._address).get("sslmode")  # type: ignore[return-value]

    assert mode("postgresql://u:p@db.example/app") == "require"
    assert mode("postgresql://u:p@db.example/app?sslmode=verify-full") == "verify-full"
    assert mode("postgresql://u:p@postgres/app") is None
    found = run(f"{shop.checks}?sslmode=require", "SELECT 1")
    assert "sslmode=disable" in found.why


def test_the_address_is_in_no_repr(shop: Database) -> None:
    checks = PostgresChecks(shop.checks, schemas=["public"], timeout=3)
    password = shop.checks.split(":")[2].split("@")[0]
    assert password not in repr(checks)
    assert password not in repr(shop)
