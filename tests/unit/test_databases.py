"""Who asks for the database, and what is said where its address or its driver is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.outside import Outside, everything, run

STORED = {"data": {"checks": "checks"}}


@pytest.fixture
def outside() -> Iterator[Outside]:
    with everything() as there:
        yield there


@pytest.mark.parametrize("verb", ["canary-prod", "deploy-staging"])
def test_a_release_of_a_service_with_checks_needs_its_database(
    outside: Outside, tmp_path: Path, verb: str
) -> None:
    code, summary = run(verb, outside, tmp_path, service=STORED)
    assert code == 2
    assert "database\\-url\\` is missing or empty" in summary


def test_the_way_back_needs_no_database(outside: Outside, tmp_path: Path) -> None:
    _, summary = run("rollback", outside, tmp_path, service=STORED)
    assert "database" not in summary


def test_a_driver_that_is_missing_is_told_with_what_installs_it(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/one.sql").write_text("SELECT 1")
    (tmp_path / "slipway.yml").write_text("version: 1\nservices: {bot: {data: {}}}\n")
    code = (
        "import os, sys; sys.modules['psycopg'] = None; from slipway.__main__ import main; "
        "sys.exit(main(['check-data'], os.environ))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=tmp_path,
        env={
            "PYTHONPATH": ":".join(sys.path),
            "SLIPWAY_SERVICE": "bot",
            "SLIPWAY_DATABASE_URL": "postgresql://u:s3cret@db/app",
        },
    )
    assert done.returncode == 2, done.stdout
    assert "the driver of PostgreSQL is missing" in done.stdout
    assert "requirements/data.txt" in done.stdout
    assert "s3cret" not in done.stdout
