"""Reading migrations, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.migrators.address import address_of
from slipway.clients.migrators.supabase import _newest
from slipway.errors import UsageError
from slipway.migrations.files import (
    checksum_of,
    is_blank,
    marks_of,
    read_dbmate,
    read_pair,
    without_comments,
)

NAME = "db/migrations/20260101_add_note.sql"


def dbmate(text: str, name: str = NAME) -> str:
    with pytest.raises(UsageError) as error:
        read_dbmate(text, name)
    return error.value.found


def test_a_file_of_dbmate_is_two_blocks() -> None:
    read = read_dbmate("-- why\n\n-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n", NAME)

    assert (read.version, read.name) == ("20260101", "add_note")
    assert (read.up, read.down) == ("SELECT 1;", "SELECT 2;")
    assert read.transactional


@pytest.mark.parametrize("option", ["transaction:false", "transaction:FALSE", "transaction: false"])
@pytest.mark.parametrize("block", ["up", "down"])
def test_what_may_be_meant_to_be_outside_a_transaction_is(option: str, block: str) -> None:
    text = "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"

    assert not read_dbmate(text.replace(block, f"{block} {option}"), NAME).transactional


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1;",
        "-- migrate:up\nSELECT 1;",
        "-- migrate:down\nSELECT 1;\n-- migrate:up\nSELECT 2;",
        "-- migrate:up\n1\n-- migrate:down\n2\n-- migrate:down\n3",
        "-- migrate:up\n1\n-- migrate:up\n2\n-- migrate:down\n3",
        "SELECT 0;\n-- migrate:up\n1\n-- migrate:down\n2",
    ],
)
def test_a_file_that_says_two_things_is_an_error(text: str) -> None:
    assert NAME in dbmate(text)


@pytest.mark.parametrize("down", ["", "  \n", ";", "-- DROP TABLE x;", "/* a /* b */ c */ ; -- d"])
def test_a_down_in_which_nothing_is_is_none(down: str) -> None:
    assert read_dbmate(f"-- migrate:up\n1\n-- migrate:down\n{down}", NAME).down is None
    assert read_pair("1", down, "a/1_b.up.sql").down is None


def test_marks_are_read_in_any_block_and_a_typing_error_is_no_permission() -> None:
    text = "-- migrate:up\n1\n-- migrate:down\n  --deploy: Irreversible\n2"
    assert read_dbmate(text, NAME).irreversible
    assert marks_of("# deploy: contract", NAME).contract
    for wrong in ("-- deploy: irreversable", "-- deploy:", "-- deploy: contract maybe"):
        with pytest.raises(UsageError, match="no mark"):
            marks_of(wrong, NAME)


def test_the_checksum_is_of_both_files_and_not_of_the_ends_of_lines() -> None:
    assert checksum_of("a\nb") == checksum_of("a\r\nb")
    assert checksum_of("a", "b") != checksum_of("ab", "") != checksum_of("", "ab")
    assert read_pair("1", "2", "1_b.up.sql").checksum != read_pair("1", "3", "1_b.up.sql").checksum


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("a -- b\nc", "a \nc"),
        ("a -- b\rDROP TABLE c", "a \rDROP TABLE c"),
        ("'-- no' -- yes", "'-- no' "),
        ('"/* no */"/* yes */', '"/* no */" '),
        ("$$ -- no $$ -- yes", "$$ -- no $$ "),
        ("$x$ $$ -- no $x$--", "$x$ $$ -- no $x$"),
        ("/* a /* b */ c */d", " d"),
        (r"E'\'-- no' -- yes", r"E'\'-- no' "),
        ("'it''s -- no'--", "'it''s -- no'"),
        ("/* never ended", " "),
    ],
)
def test_a_comment_is_what_postgres_takes_for_one(sql: str, left: str) -> None:
    assert without_comments(sql) == left


@given(st.text(alphabet="ab'\"$-/*;\n eE\\", max_size=60))
def test_whatever_is_written_is_read_to_its_end(text: str) -> None:
    once = without_comments(text)
    assert len(once) <= len(text) + text.count("/*")
    assert is_blank(f"-- {text}".replace("\n", " "))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u:hunter2@h/d", "only Postgres"),
        ("sqlite:///x", "only Postgres"),
        ("postgresql+psycopg://u:hunter2@h/d", "only Postgres"),
        ("postgresql://u:hunter2@h:6543/d", "transaction pooler"),
        ("postgresql://u:hunter2@h:5432/d?port=6543", "transaction pooler"),
        ("postgresql://u:hunter2@h:notaport/d", "cannot be read"),
        ("postgresql://u:hunter2@h", "names no host, or no database"),
        ("hunter2", "only Postgres"),
    ],
)
def test_an_address_that_cannot_be_migrated_is_refused_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as error:
        address_of(url)
    assert "hunter2" not in error.value.found.replace("'hunter2'", "") or url == "hunter2"


def test_a_password_is_kept_out_however_it_is_written() -> None:
    address = address_of("postgresql://u:p%40ss%2Fw@h:5432/d")

    shown = address.clean("postgres://u:p%40ss%2Fw@h p@ss/w p%40ss%2Fw postgres://x:other@h")

    assert shown == "postgres://u:***@h *** *** postgres://x:***@h"


BACKUP = {"status": "COMPLETED", "inserted_at": "2026-01-05T03:00:00.000Z"}


def test_only_a_finished_backup_of_supabase_is_one() -> None:
    newer = {"status": "FAILED", "inserted_at": "2026-01-06T03:00:00Z"}
    found = _newest({"backups": [BACKUP, newer], "pitr_enabled": False})
    assert found is not None
    assert found.isoformat() == "2026-01-05T03:00:00+00:00"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"backups": None},
        {"backups": [None, {"status": "COMPLETED"}, {"status": "COMPLETED", "inserted_at": "x"}]},
        {"backups": [], "physical_backup_data": {"latest_physical_backup_date_unix": 1767600000}},
        {"pitr_enabled": True, "physical_backup_data": {"latest_physical_backup_date_unix": "1"}},
        {"pitr_enabled": True, "physical_backup_data": None},
    ],
)
def test_what_supabase_does_not_clearly_say_is_not_known(body: dict[str, object]) -> None:
    assert _newest(body) is None


def test_going_back_to_a_moment_counts_where_it_is_switched_on() -> None:
    physical = {"latest_physical_backup_date_unix": 1767600000}
    found = _newest({"pitr_enabled": True, "physical_backup_data": physical, "backups": [BACKUP]})
    assert found is not None
    assert found.isoformat() == "2026-01-05T08:00:00+00:00"
