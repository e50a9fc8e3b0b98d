"""Checks out of files: one SELECT each, and a mistake is told with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.clients.check_files import read
from slipway.errors import UsageError
from slipway.ports import Check


def written(place: Path, **files: str | bytes) -> Path:
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (place / f"{name}.sql").write_bytes(data)
    return place


def problems(place: Path) -> str:
    with pytest.raises(UsageError) as raised:
        read(place, shown="checks")
    assert (raised.value.file or "checks").startswith("checks")
    return raised.value.found


def test_a_file_is_a_check_with_what_its_head_says(tmp_path: Path) -> None:
    written(
        tmp_path,
        b="-- Everything here is prose.\n-- severity: warn\n-- timeout: 20s\n"
        "-- phase: post-release\n-- description: What is it for?\n"
        "-- migration: 20260101, 20260102\n\nSELECT id FROM orders; -- the end\n",
        a="SELECT 1",
    )
    assert read(tmp_path, shown="checks") == (
        Check(name="a", sql="SELECT 1"),
        Check(
            name="b",
            sql=(tmp_path / "b.sql").read_text().partition(";")[0],
            severity="warn",
            timeout=20.0,
            phase="post-release",
            description="What is it for?",
            migrations=("20260101", "20260102"),
        ),
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ';' AS a, E'\\';' AS b, \";\" FROM t",
        "SELECT $$;$$, $x$ ; $$ ; $x$",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "/* one; /* two; */ three; */ SELECT 1",
        "(SELECT 1) UNION (SELECT 2)",
        "SELECT 'it''s; fine' -- and ; this",
        "SELECT 1;\n\n-- said: after it\n",
        "\ufeffSELECT 1",
    ],
)
def test_every_way_to_write_one_select_is_one(tmp_path: Path, sql: str) -> None:
    (check,) = read(written(tmp_path, one=sql), shown="checks")
    assert not check.sql.rstrip().endswith(";")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "-- severty: warn\nSELECT 1",
            "checks/it.sql:1: there is no severty; did you mean severity?",
        ),
        ("\n-- severity: bad\nSELECT 1", "checks/it.sql:2: severity: 'bad' is not one of critical"),
        ("-- timeout: 5\nSELECT 1", "checks/it.sql:1: timeout: '5' is not a duration"),
        ("-- timeout: 10m\nSELECT 1", "300s at most"),
        ("-- phase: later\nSELECT 1", "is not one of always, post-release"),
        ("-- migration: a b\nSELECT 1", "'a b' is not the version of a migration"),
        ("-- phase: always\n-- phase: always\nSELECT 1", "checks/it.sql:2: phase is given twice"),
        ("SELECT 1\n-- severity: warn", "checks/it.sql:2: severity stands below the query"),
        ("SELECT 1;\n\nSELECT 2", "checks/it.sql:3: a second statement begins here"),
        ("-- nothing\n\n", "there is no SELECT: it is empty"),
        ("", "there is no SELECT: it is empty"),
        ("\n\nDELETE FROM orders", "checks/it.sql:3: there is no SELECT: it begins with 'DELETE'"),
        (b"SELECT\n'\xff'", "checks/it.sql:2: it is not UTF-8 text"),
        ("SELECT\n\n'\0'", "checks/it.sql:3: there is a NUL"),
        ("SELECT 1 -- " + "x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str | bytes, told: str) -> None:
    assert told in problems(written(tmp_path, it=text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    written(tmp_path, a="DROP TABLE x", b="-- sverity: warn\n-- phase: x\nSELECT 1")
    found = problems(tmp_path)
    assert found.startswith("3 problems")
    for file in ("a.sql:1", "b.sql:1", "b.sql:2"):
        assert file in found


def test_two_names_that_differ_in_capitals_are_one_on_some_machines(tmp_path: Path) -> None:
    assert "but for capital letters" in problems(written(tmp_path, a="SELECT 1", A="SELECT 1"))


def test_a_file_that_would_not_be_run_is_told(tmp_path: Path) -> None:
    written(tmp_path, a="SELECT 1")
    (tmp_path / "more").mkdir()
    written(tmp_path / "more", b="SELECT 1")
    assert "checks/more/b.sql:1: it would not be run" in problems(tmp_path)
    written(tmp_path, **{"name with blanks": "SELECT 1"})
    assert "the file's name is the check's" in problems(tmp_path)


def test_checks_that_are_asked_for_and_not_there_are_an_error(tmp_path: Path) -> None:
    assert "holds no check" in problems(tmp_path)
    assert "cannot be read" in problems(tmp_path / "nowhere")
