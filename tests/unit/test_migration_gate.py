"""What is found in the SQL of a migration, and what comes of it. The linter is the real one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.squawk import Squawk
from slipway.config import Migrations
from slipway.errors import OutsideError
from slipway.migrations import linting
from slipway.migrations.files import read_dbmate
from slipway.migrations.gate import Said, linted
from slipway.migrations.statements import Remark, remarks

SETTINGS = Migrations(tool="dbmate")


def squawk(sql: str, transactional: bool) -> Sequence[Remark]:
    return Squawk().remarks(sql, transactional=transactional)


def judged(up: str, down: str = "select 1;", *, above: str = "", options: str = "") -> list[Said]:
    text = f"{above}-- migrate:up{options}\n{up}\n-- migrate:down{options}\n{down}\n"
    migration = read_dbmate(text, "db/migrations/1_a.sql")
    return list(linted(migration, text, squawk, SETTINGS))


def errors(said: Sequence[Said]) -> set[str]:
    return {one.rule for one in said if one.level == "error"}


def warnings(said: Sequence[Said]) -> set[str]:
    return {one.rule for one in said if one.level == "warning"}


BREAKING = [
    ("drop table t;", "ban-drop-table"),
    ("drop foreign table t;", "ban-drop-table"),
    ("alter table t drop column a;", "ban-drop-column"),
    ("alter type t drop attribute a;", "ban-drop-column"),
    ("drop view v;", "ban-drop-view"),
    ("drop materialized view v;", "ban-drop-view"),
    ("drop type t;", "ban-drop-type"),
    ("drop domain d;", "ban-drop-domain"),
    ("drop schema s;", "ban-drop-schema"),
    ("drop function f();", "ban-drop-function"),
    ("drop sequence s;", "ban-drop-sequence"),
    ("drop extension e;", "ban-drop-extension"),
    ("drop trigger x on t;", "ban-drop-trigger"),
    ("drop policy p on t;", "ban-drop-policy"),
    ("alter table t alter column a drop default;", "ban-drop-default"),
    ("revoke select on t from app;", "ban-revoke"),
    ("drop owned by app;", "ban-revoke"),
    ("alter table t set schema other;", "ban-set-schema"),
    ("alter table t rename to u;", "renaming-table"),
    ("alter table t rename column a to b;", "renaming-column"),
    ("alter view v rename to w;", "renaming-object"),
    ("alter type e rename value 'x' to 'y';", "renaming-object"),
    ("alter table t alter column a type bigint;", "changing-column-type"),
    ("alter table t add column a text not null;", "adding-required-field"),
    ("alter table t alter column a set not null;", "adding-not-nullable-field"),
    ("alter table t enable row level security;", "ban-alter-row-level-security"),
    ("alter table t disable trigger all;", "ban-disable-trigger"),
    ("delete from t where a = 1;", "delete"),
    ("with d as (delete from t returning *) select * from d;", "delete"),
    ("create table k as with d as (delete from t returning *) select * from d;", "delete"),
    ("update t set a = 1;", "update"),
    ("update t set a = 1 where b = 2;", "update"),
    ("insert into t values (1) on conflict (id) do update set a = 1;", "update"),
    ("truncate t;", "truncate"),
    ("merge into t using s on t.a = s.a when matched then delete;", "merge"),
    ("drop table t cascade;", "drop-cascade"),
    ("alter table t drop constraint c cascade;", "drop-cascade"),
    ("drop rule r on t;", "drop-other"),
    ("do $$ begin delete from t; end $$;", "opaque"),
    ("call clean_up();", "opaque"),
    ("execute prepared;", "opaque"),
    ("explain analyze delete from t;", "opaque"),
    ("create rule r as on insert to t do also delete from u;", "opaque"),
    ("copy t from '/tmp/x';", "opaque"),
    ("select * into u from t;", "opaque"),
]


@pytest.mark.parametrize(("sql", "rule"), BREAKING, ids=[sql[:50] for sql, _ in BREAKING])
def test_what_breaks_older_code_fails_and_with_the_mark_it_is_told(sql: str, rule: str) -> None:
    assert rule in errors(judged(sql))

    marked = judged(sql, above="-- deploy: contract\n")
    assert errors(marked) == set()
    assert rule in {one.rule for one in marked if one.level == "notice"}


def test_every_rule_that_breaks_is_shown_to_be_found() -> None:
    assert {rule for _, rule in BREAKING} == {*linting.BREAKS, *linting.OURS}


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("create tabel t (id int);", "syntax-error"),
        ("drop database d;", "ban-drop-database"),
        ("truncate t cascade;", "ban-truncate-cascade"),
        ("begin; create table t (id int); commit;", "transaction-nesting"),
        (
            "create index concurrently i on t (a); create index concurrently j on t (b);",
            "ban-concurrent-index-creation-in-transaction",
        ),
    ],
)
def test_what_is_never_right_fails_with_the_mark_too(sql: str, rule: str) -> None:
    assert linting.level(rule) is linting.Level.FAILS
    assert rule in errors(judged(sql, above="-- deploy: contract\n"))


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("create index i on t (a);", "require-concurrent-index-creation"),
        ("drop index i;", "require-concurrent-index-deletion"),
        ("reindex table t;", "require-concurrent-reindex"),
        ("alter table t detach partition p;", "require-concurrent-partition-detach"),
        ("alter table t add constraint c check (a > 1);", "constraint-missing-not-valid"),
        ("alter table t add constraint c check (a > 1) not valid;", "ban-new-write-restriction"),
        ("alter table t add constraint c unique (a);", "disallowed-unique-constraint"),
        ("alter table t add column a int;", "require-lock-timeout"),
        ("alter table t add column a int;", "require-statement-timeout"),
        ("alter type e add value 'x' after 'y';", "ban-add-enum-value"),
        ("create or replace view v as select 1;", "ban-replace-view-function"),
        ("alter table t add column a int; update t set a = b;", "backfill"),
        ("select pg_catalog.setval('s', 1);", "function-call"),
        ("insert into t values (1);", "insert"),
    ],
)
def test_what_locks_or_needs_a_look_is_told_and_does_not_fail(sql: str, rule: str) -> None:
    said = judged(sql)
    assert rule in warnings(said)
    assert errors(said) == set()


@pytest.mark.parametrize(
    "sql",
    [
        "create table n (id bigint primary key, t text not null default 'x');\n"
        "insert into n (id) values (1); update n set t = 'y'; delete from n;",
        "set lock_timeout = '1s'; set statement_timeout = '5s'; alter table t add column b bigint;",
        "create function f() returns trigger language plpgsql as $f$ begin delete from t; "
        "return new; end $f$; create trigger x before insert on t for each row execute function "
        "f();",
        "create policy p on t for select using (true); grant select on t to app;",
        "comment on table t is 'delete from t; drop table t cascade';",
        "create extension if not exists pgcrypto; create schema s; create type e as enum ('a');",
        "-- delete from t;\n/* truncate t; /* drop t; */ */ select set_config('a', '', true);",
    ],
)
def test_what_only_adds_is_good(sql: str) -> None:
    assert errors(judged(sql)) == set()
    assert {one.rule for one in remarks(sql)} <= {"function-call"}


def test_rows_of_a_table_that_may_have_been_there_are_not_taken_for_new() -> None:
    said = judged("create table if not exists n (id bigint); delete from n;")
    assert "delete" in errors(said)
    assert "update" in errors(judged("alter table t add column a int; update t set a = 1, b = 2;"))
    assert "update" in errors(
        judged("alter table t add column if not exists a int; update t set a = 1;")
    )


def test_a_statement_behind_a_block_is_seen() -> None:
    hidden = "do $$ begin perform 1; end $$; delete from t; select $$x$$;"
    assert {"opaque", "delete"} <= errors(judged(hidden))


@given(
    word=st.from_regex(r"[a-z]{2,12}", fullmatch=True),
    rest=st.text(st.sampled_from("abc ()=*,.'\"$1-/\n"), max_size=30),
)
def test_a_statement_that_is_not_known_never_passes_silently(word: str, rest: str) -> None:
    sql = f"{word} {rest};"
    assert remarks(sql) or squawk(sql, True) or word in ("set", "reset", "show", "select")


def test_squawks_silencer_counts_for_the_up_and_not_for_the_down() -> None:
    quiet = "-- squawk-ignore ban-drop-table, require-lock-timeout, require-statement-timeout\n"
    assert errors(judged(f"{quiet}drop table t;")) == set()

    quiet = "-- squawk-ignore ban-truncate-cascade\n"
    said = judged("create table n (id int);", f"{quiet}truncate n cascade; drop table n;")
    assert errors(said) == {"ban-truncate-cascade"}


def test_what_a_down_takes_away_is_no_fault_of_the_up() -> None:
    assert errors(judged("create table n (id bigint);", "drop table n;")) == set()


@pytest.mark.parametrize(
    ("up", "down", "rule"),
    [
        ("create table n (id bigint);", "", "no-down"),
        ("create table n (id bigint);", "-- nothing\n;", "no-down"),
        ("create table n (id bigint);", "select 1;", "unread"),
        ("create table n (id bigint);", "drop table n; drop table t;", "not-ours"),
        ("create table n (id int); create table m (id int);", "drop table n;", "leaves"),
    ],
)
def test_why_it_will_not_be_reverted_by_itself_is_told_before_it_is_merged(
    up: str, down: str, rule: str
) -> None:
    assert rule in {one.rule for one in judged(up, down) if one.level == "notice"}


def test_one_outside_a_transaction_is_told_to_be_frozen() -> None:
    said = judged("create table n (id int);", "drop table n;", options=" transaction:false")
    assert "no-transaction" in {one.rule for one in said if one.level == "notice"}


def test_a_finding_is_at_the_line_of_the_file() -> None:
    text = (
        "\n-- migrate:up\nselect 1;\n\ndrop table t;\n-- migrate:down\n\n\nselect 1;\ndrop tabel;\n"
    )
    said = linted(read_dbmate(text, "db/1_a.sql"), text, squawk, SETTINGS)
    lines = {one.rule: one.line for one in said if one.level == "error"}
    assert lines == {"ban-drop-table": 5, "syntax-error": 10}


def test_a_rule_that_is_not_known_yet_is_told() -> None:
    text = "-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;\n"

    def newer(_sql: str, _transactional: bool) -> Sequence[Remark]:
        return (Remark(rule="ban-something-new", line=1, text="It does something new"),)

    said = linted(read_dbmate(text, "db/1_a.sql"), text, newer, SETTINGS)
    assert "ban-something-new" in warnings(said)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 2", "ended with 2"),
        ("echo no; exit 1", "printed no JSON"),
        ("echo '[]'; exit 1", "said otherwise"),
        ("echo '[{}]'; exit 1", "has no rule"),
    ],
)
def test_a_linter_that_does_not_answer_as_it_should_is_no_success(
    script: str, told: str, tmp_path: Path
) -> None:
    program = tmp_path / "squawk"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(OutsideError, match=told):
        Squawk(program).remarks("select 1;", transactional=True)


def test_a_linter_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="FileNotFoundError"):
        Squawk(tmp_path / "squawk").remarks("select 1;", transactional=True)


def test_a_setting_of_the_repository_changes_nothing_of_what_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "drop table t; alter table u add column a int default 1;"
    before = squawk(sql, True)
    (tmp_path / ".squawk.toml").write_text(
        'pg_version = "10"\nexcluded_rules = ["ban-drop-table"]\n'
    )
    monkeypatch.chdir(tmp_path)

    assert squawk(sql, True) == before
    assert "ban-drop-table" in {one.rule for one in before}
