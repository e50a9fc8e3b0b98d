"""The command check-data, as a step of a job runs it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import psycopg
import pytest

from sandbox.postgres import Database
from slipway.__main__ import main

CONFIG = """\
version: 1
services:
  bot:
    data: {checks: checks, timeout: 2s}
  page: {}
"""
CHECKS = {
    "orders-have-a-shop": "-- description: Nobody's orders | are lost.\n"
    "SELECT id FROM orders WHERE shop_id IS NULL",
    "totals": "SELECT id FROM orders WHERE total < 0",
    "odd": "-- severity: warn\nSELECT id FROM orders WHERE total = 13",
}


class Job:
    """A repository that is checked out, and one step."""

    def __init__(self, place: Path, database: Database) -> None:
        self.place = place
        self.database = database
        (place / "checks").mkdir()
        (place / "slipway.yml").write_text(CONFIG)
        for name, sql in CHECKS.items():
            (place / f"checks/{name}.sql").write_text(sql)
        self.log = ""
        self.summary = ""

    def run(self, **inputs: str) -> int:
        said = StringIO()
        summary = self.place / "summary.md"
        summary.unlink(missing_ok=True)
        given = {"service": "bot", "database_url": self.database.checks, **inputs}
        code = main(
            ["check-data"],
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.place),
                "GITHUB_STEP_SUMMARY": str(summary),
                "GITHUB_OUTPUT": str(self.place / "output"),
                **{f"SLIPWAY_{name.upper()}": value for name, value in given.items()},
            },
            said,
        )
        self.log, self.summary = said.getvalue(), summary.read_text() if summary.exists() else ""
        password = self.database.checks.split(":")[2].split("@")[0]
        assert password not in self.log + self.summary
        return code

    def write(self, statement: str) -> None:
        with psycopg.connect(self.database.owner) as owner:
            owner.execute(statement.encode())


@pytest.fixture
def job(tmp_path: Path, database: Database) -> Job:
    made = Job(tmp_path, database)
    made.write("CREATE TABLE orders (id int PRIMARY KEY, shop_id int, total int)")
    made.write("INSERT INTO orders VALUES (1, 1, 5), (2, 1, 13)")
    return made


def test_good_data_end_green_with_a_table_of_the_checks(job: Job) -> None:
    assert job.run() == 0
    assert "3 data checks find nothing new" in job.log
    assert "| `totals` | critical | passes | 0 |" in job.summary
    assert "| `odd` | warn | fails | 1 | `2` |" in job.summary
    assert "Nobody\\'s orders \\| are lost\\." in job.summary


def test_bad_data_end_red_with_numbers_and_keys(job: Job) -> None:
    job.write("INSERT INTO orders VALUES (3, NULL, 5), (4, NULL, -1)")
    assert job.run() == 1
    assert "orders-have-a-shop has 2 rows (3, 4); totals has 1 row (4)" in job.log
    assert "fails, new" in job.summary


def test_what_cannot_be_run_ends_held(job: Job) -> None:
    (job.place / "checks/slow.sql").write_text("SELECT pg_sleep(9)")
    assert job.run() == 4
    assert "slow: it took longer than it may" in job.log
    assert job.run(database_url=job.database.checks.replace("127.0.0.1:", "127.0.0.1:1")) == 4


def test_a_baseline_is_written_first_and_only_what_is_new_counts_then(job: Job) -> None:
    job.write("INSERT INTO orders VALUES (3, NULL, 5)")
    file = job.place / "seen/before.json"
    assert job.run(baseline="seen/before.json") == 0
    assert "2 of 3" not in job.log
    assert "failing already" in job.log
    assert json.loads(file.read_text())["failing"] == {"odd": 1, "orders-have-a-shop": 1}
    assert job.run(baseline="seen/before.json") == 0
    assert "fails, as before" in job.summary
    job.write("INSERT INTO orders VALUES (4, NULL, 5)")
    assert job.run(baseline="seen/before.json") == 1
    assert "orders-have-a-shop has 2 rows" in job.log


def test_what_could_not_be_run_is_no_baseline(job: Job) -> None:
    (job.place / "checks/wrong.sql").write_text("SELECT id FROM nowhere")
    assert job.run(baseline="before.json") == 4
    assert not (job.place / "before.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version":1,"service":"x","failing":{}}'])
def test_a_file_that_is_no_baseline_is_told_and_nothing_is_compared_with_it(
    job: Job, content: str
) -> None:
    (job.place / "before.json").write_text(content)
    assert job.run(baseline="before.json") == 2
    assert "before.json is" in job.log


def test_what_is_missing_is_told_with_what_to_do(job: Job) -> None:
    assert job.run(database_url="") == 2
    assert "`database-url` is missing" in job.log
    assert job.run(service="page") == 2
    assert "page has no `data`" in job.log


def test_a_role_that_may_write_is_warned_of(job: Job) -> None:
    assert job.run(database_url=job.database.owner) == 0
    assert "::warning title=Role of the database::the role" in job.log
