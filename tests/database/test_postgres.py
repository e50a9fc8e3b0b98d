"""The PostgreSQL of the sandbox: its roles have the rights of a careful team, and it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sandbox.postgres import Database

ROOT = Path(__file__).parents[2]


def test_each_role_may_do_its_part_and_no_more(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, total int)")
    with psycopg.connect(database.app, autocommit=True) as app:
        app.execute("INSERT INTO orders (total) VALUES (1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("DROP TABLE orders")
    database.run("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    with psycopg.connect(database.checks, autocommit=True) as checks:
        assert checks.execute("SELECT total FROM orders").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            checks.execute("DELETE FROM orders")
        checks.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            checks.execute("DELETE FROM orders")


def test_it_asks_for_a_password(database: Database) -> None:
    wrong = database.checks.replace(database.checks.split(":")[2].split("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_it_ends_with_the_process_that_started_it() -> None:
    program = (
        "import time; from sandbox.postgres import Postgres\n"
        "server = Postgres(); server.start(); print(server.port, server._place, flush=True)\n"
        "time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )
    assert starter.stdout is not None
    port, place = starter.stdout.readline().split()
    starter.send_signal(signal.SIGKILL)
    starter.wait(5)
    until = time.monotonic() + 10
    while _answers(int(port)):
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.05)
    assert "slipway-postgres-" in place
    subprocess.run(["rm", "-rf", place], check=True)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
