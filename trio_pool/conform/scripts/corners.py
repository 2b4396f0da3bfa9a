"""Odd but legal corners: malformed bodies, large objects, roles, locks, statements from inside."""

from __future__ import annotations

from typing import Final

from trio_pool.conform.script import Cancel, Meanwhile, Say, ask, other, script
from trio_pool.conform.words import FLUSH, SYNC, bind, describe, once, parse, query, run

_MALFORMED_PARSE: Final = b"P\0\0\0\x11s\0select 1\0\0\x05"
_SYNC_WITH_BODY: Final = b"S\0\0\0\x05x"
_BIND_CUT_SHORT: Final = b"B\0\0\0\x0a\0s\0\0\0\x7f"
_QUERY_WITHOUT_END: Final = b"Q\0\0\0\x0cselect 1"
_FIND_ME: Final = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and query = 'select ''find me'''"
)

SCRIPTS: Final = (
    script(
        "a Parse takes a lock until its transaction ends",
        ask("begin"),
        parse("s", "select * from t") + SYNC,
        ask("select count(*) from pg_locks where relation = 't'::regclass"),
        ask("commit"),
        ask("select count(*) from pg_locks where relation = 't'::regclass"),
        cases=(20,),
    ),
    script(
        "a large pipeline is answered while it is still being said",
        parse("s", "select repeat('x', 1000), $1::text") + SYNC,
        Say(0, (run("s", "y" * 200) + SYNC) * 2000, "Z" * 2000),
        ask("select 1"),
        cases=(27, 25),
    ),
    script(
        "EXECUTE carries out utilities that Parse prepared",
        parse("w", "show work_mem") + parse("c", "create table made as select 1 as one") + SYNC,
        ask("execute w"),
        ask("execute c"),
        ask("create table more as execute w"),
        ask("select one from made"),
        cases=(57,),
    ),
    script(
        "three hundred statements of one client",
        b"".join(parse(f"n{n}", f"select {n}") for n in range(300)) + SYNC,
        run("n0") + run("n150") + run("n299") + SYNC,
        run("n7") + SYNC,
        cases=(62, 64),
    ),
    script(
        "a role decides which rows a prepared statement shows",
        ask("alter table t enable row level security"),
        ask("create policy p on t using (v = current_user or v = 'one')"),
        ask("grant usage on schema public to pg_monitor; grant select on t to pg_monitor"),
        parse("s", "select id from t order by id") + SYNC,
        run("s") + SYNC,
        ask("set role pg_monitor"),
        run("s") + SYNC,
        other(query("select count(*) from t")),
        ask("reset role"),
        run("s") + SYNC,
        cases=(66,),
    ),
    script(
        "malformed messages are refused by the server and the connection lives",
        _MALFORMED_PARSE + SYNC,
        bind("s") + SYNC,
        parse("s", "select 1") + SYNC,
        _BIND_CUT_SHORT + SYNC,
        run("s") + SYNC,
        cases=(69, 197),
    ),
    script(
        "a Sync with a body is an error and a Sync",
        _SYNC_WITH_BODY,
        ask("select 1"),
        cases=(196,),
    ),
    script(
        "a query without its end is refused",
        _QUERY_WITHOUT_END,
        ask("select 1"),
        b"Q\0\0\0\x16select 1\0select 2\0",
        ask("select 1"),
        cases=(198,),
    ),
    script(
        "an unknown message ends the connection",
        Say(0, b"y\0\0\0\x04", "closed"),
        cases=(194,),
    ),
    script(
        "the first byte of an unknown message ends the connection",
        ask("select 1"),
        Say(0, b"y", "closed"),
        Say(1, query("begin") + b"y\0", "closed"),
        Say(2, b"p", "closed"),
        cases=(194,),
        at_once=3,
    ),
    script(
        "what comes before a broken message is answered first",
        Say(0, query("select 1") + parse("", "select 1/0") + run("") + b"y\0", "closed"),
        Say(1, query("begin") + bind("nobody") + b"y\0\0\0\x04" + SYNC, "closed"),
        Say(2, query("select 3") + parse("", "select 1") + b"p\0\0\0\x05\0", "closed"),
        cases=(194,),
        at_once=3,
    ),
    script(
        "a password outside of the login ends the connection",
        Say(0, b"p\0\0\0\x06x\0", "closed"),
        cases=(195,),
    ),
    script(
        "a function made later does not change what a statement calls",
        ask("create function which(a text) returns text language sql as $$ select 'text' $$"),
        parse("s", "select which('1')") + SYNC,
        run("s") + SYNC,
        ask("create function which(a int) returns text language sql as $$ select 'int' $$"),
        run("s") + SYNC,
        describe("s") + SYNC,
        cases=(76,),
    ),
    script(
        "what is stable is not frozen in a prepared statement",
        parse("s", "select current_schema(), now() = transaction_timestamp()") + SYNC,
        run("s") + SYNC,
        ask("set search_path = other"),
        run("s") + SYNC,
        cases=(78,),
    ),
    script(
        "rules give one tag for each statement",
        ask("create rule also as on insert to u do also (select 1 as from_rule)"),
        ask("insert into u values (1); prepare s as select 'mine'; execute s"),
        ask("execute s"),
        run("s") + SYNC,
        cases=(84,),
    ),
    script(
        "a function prepares, executes and deallocates in its body in one transaction",
        ask("begin"),
        ask("do $$ begin execute 'prepare inner_one as select 1'; end $$"),
        ask("execute inner_one"),
        ask("do $$ begin execute 'deallocate inner_one'; end $$"),
        ask("commit"),
        ask("execute inner_one"),
        cases=(90,),
    ),
    script(
        "types that PREPARE leaves open are found once",
        ask("prepare s as select $1 = id from t order by id"),
        ask("prepare d(text, int) as select $1, $2, pg_typeof($1), pg_typeof($2)"),
        ask("execute s(2)"),
        ask("execute d('x', 7)"),
        describe("s") + describe("d") + SYNC,
        cases=(98,),
    ),
    script(
        "a prepared transaction outlives its client",
        ask("begin; insert into u values (1); prepare transaction 'orphan'"),
        Say(0, b"X\0\0\0\x04", "closed"),
        ask("rollback prepared 'orphan'", 1),
        ask("select a from u", 1),
        cases=(114,),
    ),
    script(
        "row locks end with their transaction",
        ask("begin"),
        ask("select id from t where id = 1 for update"),
        ask("select id from t where id = 1 for update nowait", 1),
        ask("rollback"),
        ask("select id from t where id = 1 for update nowait", 1),
        cases=(118,),
        at_once=2,
    ),
    script(
        "a large object lives in one transaction",
        ask("begin"),
        ask("select lo_from_bytea(4711, 'hello')"),
        ask("select lo_open(4711, 131072)"),
        ask("select loread(0, 3)"),
        ask("select lo_unlink(4711)"),
        ask("commit"),
        ask("select loread(0, 3)"),
        cases=(133,),
    ),
    script(
        "a statement prepares its own name, which is taken",
        parse("s", "prepare s as select 1") + run("s") + SYNC,
        run("s") + SYNC,
        parse("d", "deallocate d") + run("d") + SYNC,
        run("d") + SYNC,
        cases=(31,),
    ),
    script(
        "COPY with parameters is refused",
        parse("s", "copy (select $1::int) to stdout") + SYNC,
        run("s", "1") + SYNC,
        ask("select 1"),
        cases=(149,),
    ),
    script(
        "a backend that is ended in a transaction takes its client along",
        ask("begin"),
        ask("select 'find me'"),
        Meanwhile(_FIND_ME),
        Say(0, b"", "closed"),
        ask("select 'not me'", 1),
        cases=(155,),
        at_once=2,
    ),
    script(
        "a cancel between the messages of a segment does nothing",
        Say(0, once("insert into u values (1)") + FLUSH, "C"),
        Cancel(0),
        SYNC,
        ask("select a from u"),
        cases=(166,),
    ),
)
