"""The SQL of random scripts, by what it does."""

from __future__ import annotations

from typing import Final

import attrs

from trio_pool.conform.words import INT4, TEXT

READS: Final = (
    "select id, v from t order by id",
    "select * from t where id = 1",
    "select a from u order by a",
    "select loud(1)",
    "table other.t",
    "copy t to stdout",
    "copy (select id from t order by id desc) to stdout (format csv, header)",
    "select current_setting('datestyle'), current_setting('search_path')",
    "select date '2024-02-01', interval '1 day 02:03'",
    "select 'a\\nb'",
    "select count(*) from pg_cursors",
    "fetch 2 from c",
    "fetch backward 1 from c",
    "move 1 in c",
    "do $$ begin raise notice 'from do'; end $$",
    "do $$ begin perform 1 / 0; exception when division_by_zero then null; end $$",
    "select 6 / (3 - g) from generate_series(1, 5) g",
    "select from t",
    "select null, '', repeat('long ', 4000)",
    "values (1, 'x'), (2, null)",
    "select 1::positive, 'ok'::mood",
    "select (-1)::positive",
    "select noon(1)",
    "select v from t where false",
    "select 1 as \"Ä\", E'\\\\'",
    "show transaction_isolation",
    "show transaction_read_only",
    "select a.id, b.v from t a join t b using (id) order by 1",
    "explain (costs off) select 1",
    "select nothing_of_this_name(1)",
)
SETS: Final = (
    "set search_path = other",
    "set search_path = public",
    "set local search_path = other",
    "set datestyle = 'german'",
    "set local datestyle = 'SQL, DMY'",
    "set intervalstyle = 'iso_8601'",
    "set standard_conforming_strings = off",
    "set work_mem = '1MB'",
    "set local work_mem = '2MB'",
    "set statement_timeout = '50s'",
    "set extra_float_digits = 0",
    "set default_transaction_isolation = 'repeatable read'",
    "set default_transaction_read_only = on",
    "set session characteristics as transaction read write",
    "set timezone = 'Asia/Kathmandu'",
    "set application_name = 'Ünicode'",
    "set client_min_messages = error",
    "set client_encoding = 'LATIN1'",
    "set bytea_output = 'escape'",
    "set nobody_knows.this = 'custom'",
    "set plan_cache_mode = force_generic_plan",
    "set work_mem = 'nonsense'",
    "select set_config('search_path', 'other', false)",
    "select set_config('work_mem', '3MB', true)",
    "reset search_path",
    "reset work_mem",
    "reset all",
    "show search_path",
    "show work_mem",
    "show timezone",
    "select current_setting('nobody_knows.this', true)",
)
CONTROL: Final = (
    "begin",
    "begin isolation level repeatable read",
    "begin read only",
    "commit",
    "rollback",
    "abort",
    "commit and chain",
    "rollback and chain",
    "savepoint s",
    'savepoint "S"',
    "rollback to s",
    "release s",
    "set transaction isolation level serializable",
    "set constraints all immediate",
    "declare c cursor for select id from t order by id",
    "declare c scroll cursor for select id from t order by id",
    "close c",
    "close all",
    "prepare a as select id from t order by id",
    "prepare b (int) as select v from t where id = $1",
    "execute b (2)",
    "execute a",
    "deallocate b",
)
CHANGES: Final = (
    "insert into u values (1)",
    "insert into u values (2) returning a, a * 2 as twice",
    "insert into u values (3), (3)",
    "insert into u values (1) on conflict do nothing",
    "insert into late values (1)",
    "update t set v = v || '!' where id = 2",
    "update t set v = v where id > 1 returning id",
    "delete from u",
    "delete from t where id = 3",
    "truncate u",
    "alter table t add column extra int default 5",
    "alter table t drop column if exists extra",
    "create table made as select 1 as one",
    "drop table if exists made",
    "call in_two_steps()",
    "call in_one_step()",
    "select id from t for share",
    "with gone as (delete from u returning a) select count(*) from gone",
    "do $$ begin insert into u values (7); end $$",
)
# What is copied into a table with one column of integers.
COPIED_LINES: Final = ("1\n", "2\n3\n", "bad\n", "", "4", "\n5\n", "\\.\n", "6\t7\n")
ROWS_OF_MANY: Final = (
    "select generate_series(1, 5)",
    "select id, v from t order by id",
    "select 6 / (3 - g) from generate_series(1, 5) g",
    "values (1), (2)",
    "show search_path",
    "update t set v = v where id > 1 returning id",
)
LOGINS: Final = (
    (("application_name", "of the login"),),
    (("search_path", "other"),),
    (("options", "-c datestyle=german -c work_mem=5MB"),),
    (("DateStyle", "SQL, DMY"), ("extra_float_digits", "3")),
    (("client_encoding", "LATIN1"),),
    (("TimeZone", "Asia/Kathmandu"), ("options", "-c statement_timeout=50s")),
)


@attrs.frozen
class Parametrised:
    """A text with parameters: the types that a Parse may declare, and values that may come."""

    text: str
    types: tuple[tuple[int, ...], ...]
    values: tuple[tuple[str | None, ...], ...]


WITH_PARAMETERS: Final = (
    Parametrised("select $1::int + 1", ((), (INT4,), (TEXT,)), (("1",), ("x",), (None,), ())),
    Parametrised("select $1", ((), (INT4,), (TEXT,)), (("7",), ("seven",))),
    Parametrised("select v from t where id = $1", ((), (INT4,)), (("1",), ("9",), (None,))),
    Parametrised("select $1::text || $2", ((), (0, TEXT)), (("a", "b"), ("a",), ("a", None))),
    Parametrised("select loud($1)", ((),), (("1",), ("2",))),
    Parametrised("select 1 / $1::int", ((),), (("0",), ("1",))),
    Parametrised("select $1::date", ((),), (("01.02.2024",), ("2024-02-01",))),
    Parametrised("select $1::public.positive", ((),), (("1",), ("-1",))),
    Parametrised("select $1::public.mood", ((),), (("ok",), ("angry",))),
    Parametrised("select generate_series(1, $1)", ((), (INT4,)), (("3",), ("0",))),
    Parametrised("select set_config($1, $2, false)", ((),), (("work_mem", "6MB"),)),
    Parametrised("select $2::int", ((),), (("x", "1"), ("1",))),
)
