"""Two states of a database that differ in anything are told apart, and what is equal is equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

import psycopg
import pytest

from sandbox.postgres import Database
from slipway.clients.catalogue import differences, objects

THERE: LiteralString = """
create table schema_migrations (version text primary key);
create type colour as enum ('red');
create domain short as text check (length(value) < 9);
create table t (id bigint primary key, a text default 'x', w varchar(9));
alter table t add column b bigint generated always as (id + 1) stored;
create table parts (n int) partition by range (n);
create sequence s;
create view v as select a from t;
create function f() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger tr before insert on t for each row execute function f();
create policy p on t for select using (a = 'x');
create index i on t (a);
create statistics st on id, a from t;
comment on table t is 'one';
"""


def seen(database: Database) -> Mapping[str, str]:
    with psycopg.connect(database.admin, autocommit=True) as connection:
        return objects(connection, ("schema_migrations",))


CHANGES: list[LiteralString] = [
    "create table n ()",
    "create schema n",
    "alter table t add column c int",
    "alter table t drop column a cascade; alter table t add column a text default 'x'",
    "alter table t alter column a set default 'y'",
    "alter table t alter column a drop default",
    "alter table t alter column a set not null",
    "alter table t alter column w type varchar(12)",
    "alter table t alter column a set statistics 7",
    "alter table t add constraint c check (id > 0)",
    "alter table t add constraint c check (id > 0) not valid",
    "alter table t add unique (a)",
    "drop index i; create index i on t (a desc)",
    "create or replace view v as select 'z' || a as a from t",
    "create or replace function f() returns trigger language plpgsql as $$ begin return null; "
    "end $$",
    "create function f(int) returns int language sql as 'select 1'",
    "alter table t disable trigger tr",
    "drop trigger tr on t",
    "alter policy p on t using (a = 'y')",
    "alter policy p on t to app",
    "alter table t enable row level security",
    "alter table t force row level security",
    "alter type colour add value 'blue'",
    "alter domain short drop constraint short_check",
    "alter sequence s increment 2",
    "alter sequence s owned by t.id",
    "grant select on t to app",
    "grant select (a) on t to app",
    "revoke execute on function f() from public",
    "alter default privileges grant select on tables to app",
    "create rule r as on insert to t do nothing",
    "create materialized view m as select 1 as one",
    "create table part partition of parts for values from (1) to (2)",
    "comment on table t is 'two'",
    "alter table t set (fillfactor = 50)",
    "alter table t set unlogged",
    "alter table t replica identity full",
    "create type pair as (a int, b int)",
    "create type span as range (subtype = int4)",
    'create collation c from "C"',
    "create publication pub for table t",
    "drop statistics st",
    "create aggregate total(int) (sfunc = int4pl, stype = int)",
    "create foreign data wrapper w",
    "create text search dictionary d (template = simple)",
    "create operator === (leftarg = int, rightarg = int, function = int4eq)",
    "create extension pg_trgm",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_any_kind_is_seen(change: LiteralString, database: Database) -> None:
    database.run(THERE)
    before = seen(database)
    database.run(change)

    assert differences(before, seen(database)), change


@pytest.mark.parametrize(
    "change",
    [
        "insert into t (id) values (1)",
        "insert into schema_migrations values ('1')",
        "alter table schema_migrations add column more int",
        "grant select on t to app; revoke select on t from app",
        "alter table t add column c int; alter table t drop column c",
        "create table n (id serial primary key, t int references t); drop table n",
        "drop view v; create view v as select a from t",
        "select nextval('s')",
    ],
)
def test_what_is_as_before_is_equal(change: LiteralString, database: Database) -> None:
    database.run(THERE)
    before = seen(database)
    database.run(change)

    assert differences(before, seen(database)) == []


def test_a_table_that_is_left_is_told_once_and_not_with_its_parts(database: Database) -> None:
    before = seen(database)
    database.run("create table n (id bigint primary key, a text default 'x' check (a <> ''))")

    assert differences(before, seen(database)) == [
        "left behind: index public.n_pkey",
        "left behind: table public.n",
    ]
