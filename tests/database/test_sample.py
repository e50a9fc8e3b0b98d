"""The sample bot and its database: migrated, checked, and broken by builds that are bad."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from sandbox.demo.stored import migrate
from sandbox.postgres import Database
from slipway.clients import check_files
from slipway.clients.postgres import PostgresChecks
from slipway.ports import Finding
from tests.sandbox.test_livestreamsell import instance

EXAMPLE = Path(__file__).parents[2] / "examples/livestreamsell"


@pytest.fixture
def shop(database: Database) -> Database:
    """The database of the example, migrated."""
    assert migrate(database, EXAMPLE / "db/migrations")
    return database


def failing(database: Database) -> set[str]:
    """Return the names of the example's checks that find something."""
    postgres = PostgresChecks(database.checks, schemas=["public"], timeout=5)
    found = [postgres.check(c) for c in check_files.read(EXAMPLE / "checks", shown="checks")]
    assert not [one.why for one in found if one.finding is Finding.ERROR]
    return {one.check.name for one in found if one.finding is Finding.FAIL}


def ordered(database: Database, count: int) -> list[tuple[str, int]]:
    """Wait until so many orders are there; returns their shops and totals."""
    until = time.monotonic() + 10
    while True:
        rows = database.run("SELECT shop_id, total_cents FROM orders ORDER BY id")
        if len(rows) >= count:
            return rows
        assert time.monotonic() < until, rows
        time.sleep(0.05)


def test_a_good_bot_writes_orders_that_every_check_is_content_with(shop: Database) -> None:
    with instance("bot", DATABASE_URL=shop.app) as (client, _):
        for seller in ("seller-1", "seller-2", "seller-1"):
            client.get("/api/orders", headers={"X-Seller-Id": seller}).raise_for_status()
        client.get("/api/chat", headers={"X-Seller-Id": "seller-3"}).raise_for_status()
        rows = ordered(shop, 3)
    assert [row[0] for row in rows] == ["seller-1", "seller-2", "seller-1"]
    assert failing(shop) == set()


def test_a_build_that_orphans_orders_answers_well_and_is_found_by_its_check(shop: Database) -> None:
    orphans = '{"orphans_orders": true}'
    with instance("bot", DATABASE_URL=shop.app, BEHAVIOUR=orphans) as (client, _):
        client.get("/api/orders", headers={"X-Seller-Id": "seller-1"}).raise_for_status()
        ordered(shop, 1)
    assert failing(shop) == {"orders-belong-to-a-shop"}


def test_an_order_that_was_taken_is_written_before_the_bot_ends(shop: Database) -> None:
    with instance("bot", DATABASE_URL=shop.app) as (client, process):
        for _ in range(8):
            client.get("/api/orders", headers={"X-Seller-Id": "seller-1"}).raise_for_status()
        process.terminate()
        assert process.wait(20) == 0
    assert len(ordered(shop, 8)) == 8


def test_a_bot_whose_database_is_away_serves_all_the_same(shop: Database) -> None:
    gone = shop.app.replace(f"/{shop.name}", "/nowhere")
    with instance("bot", DATABASE_URL=gone) as (client, _):
        reply = client.get("/api/orders", headers={"X-Seller-Id": "seller-1"})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        (
            "WITH o AS (INSERT INTO orders (shop_id, total_cents) VALUES ('s', -5) RETURNING id)"
            " INSERT INTO order_lines SELECT id, 1, 'p', -5 FROM o",
            "totals-are-not-negative",
        ),
        ("INSERT INTO orders (shop_id, total_cents) VALUES ('s', 5)", "totals-are-sums"),
        (
            "WITH o AS (INSERT INTO orders (shop_id, total_cents, created_at)"
            " VALUES ('s', 5, now() + interval '1 day') RETURNING id)"
            " INSERT INTO order_lines SELECT id, 1, 'p', 5 FROM o",
            "orders-are-not-from-tomorrow",
        ),
    ],
)
def test_each_check_of_the_example_can_fail(shop: Database, statement: str, check: str) -> None:
    with psycopg.connect(shop.owner) as owner:
        owner.execute("INSERT INTO shops (id) VALUES ('s')")
        owner.execute(statement.encode())
    assert failing(shop) == {check}


def test_the_migrations_of_the_example_can_be_taken_back(shop: Database) -> None:
    for file in sorted((EXAMPLE / "db/migrations").glob("*.sql"), reverse=True):
        with psycopg.connect(shop.owner) as owner:
            owner.execute(file.read_text().partition("-- migrate:down")[2].encode())
    tables = shop.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables == [("schema_migrations",)]
