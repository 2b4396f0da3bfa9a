"""What is said while something breaks: one client each, alone with its backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from protocol import frontend
from trio_pool.conform.words import (
    COPY_DONE,
    FLUSH,
    SYNC,
    bind,
    close,
    copy_fail,
    data,
    describe,
    describe_portal,
    execute,
    once,
    parse,
    query,
    run,
)

# Made before the first conversation, for all of them.
FIXTURES: Final = (
    "create table faulted (n int, t text);"
    " create table bulk as select n, repeat('x', 20) as t from generate_series(1, 12) n;"
)


@attrs.frozen
class Conversation:
    """Steps of (bytes, letters to wait for). `login` begins at the first byte of the connection,
    with these startup parameters; `opens` means that there is no backend for it yet.
    """

    title: str
    steps: tuple[tuple[bytes, str], ...]
    login: Mapping[str, str] | None = None
    opens: bool = False


def _said(title: str, *steps: bytes | tuple[bytes, str]) -> Conversation:
    return Conversation(
        title, tuple(step if isinstance(step, tuple) else (step, "Z") for step in steps)
    )


_ONE: Final = query("select 1")

CONVERSATIONS: Final = (
    _said("a query", _ONE),
    _said("two statements in a query", query("select 1; select 2")),
    _said("an empty query", query("")),
    _said("a query that fails", query("select 1/0")),
    _said(
        "a transaction", query("begin"), query("insert into faulted values (1)"), query("commit")
    ),
    _said("a transaction that fails", query("begin"), query("select nothing"), query("rollback")),
    _said(
        "a savepoint", query("begin; savepoint s"), query("selec"), query("rollback to s; commit")
    ),
    _said("rows", query("select * from bulk")),
    _said("a notice", query("do $$begin raise notice 'seen'; end$$")),
    _said("an insert that returns", query("insert into faulted values (2, 'two') returning n, t")),
    _said("unnamed", once("select $1::int", "7") + SYNC),
    _said("named", parse("s", "select $1::int") + SYNC, run("s", "7") + SYNC, run("s", "8") + SYNC),
    _said("described", parse("s", "select n from bulk") + describe("s") + SYNC, run("s") + SYNC),
    _said(
        "a described portal",
        parse("s", "select 1") + bind("s") + describe_portal() + execute() + SYNC,
    ),
    _said("a closed statement", parse("s", "select 1") + SYNC, close("s") + SYNC, bind("s") + SYNC),
    _said("a failed Parse", parse("s", "selec 1") + SYNC, parse("s", "select 1") + run("s") + SYNC),
    _said(
        "an error in a pipeline",
        once("select 1") + once("select 1/0") + once("select 3") + SYNC,
        _ONE,
    ),
    _said("three pipelined segments", (3 * (once("select 1") + SYNC), "ZZZ")),
    _said(
        "pipelined statements",
        (parse("a", "select 1") + SYNC + run("a") + SYNC + run("a") + SYNC, "ZZZ"),
    ),
    _said(
        "Flush", (parse("f", "select 1") + FLUSH, "1"), (bind("f") + execute() + FLUSH, "C"), SYNC
    ),
    _said(
        "a portal in two halves",
        parse("", "select n from bulk") + bind("") + execute(5) + execute() + SYNC,
    ),
    _said(
        "a transaction of Executes",
        once("begin") + SYNC,
        once("select 1") + SYNC,
        once("commit") + SYNC,
    ),
    _said("BEGIN in the same breath", once("begin") + once("select 1") + once("commit") + SYNC),
    _said(
        "PREPARE and EXECUTE",
        query("prepare p as select $1::int"),
        query("execute p (1)"),
        run("p", "2") + SYNC,
    ),
    _said(
        "PREPARE in a transaction",
        query("begin; prepare p as select 1"),
        query("rollback"),
        query("execute p"),
    ),
    _said("DEALLOCATE", query("prepare p as select 1"), query("deallocate p"), query("execute p")),
    _said(
        "DEALLOCATE ALL", parse("s", "select 1") + SYNC, query("deallocate all"), bind("s") + SYNC
    ),
    _said(
        "DISCARD ALL", query("set work_mem = '5MB'"), query("discard all"), query("show work_mem")
    ),
    _said("SET", query("set work_mem = '5MB'"), query("show work_mem")),
    _said("SET that is reported", query("set timezone = 'Asia/Tokyo'"), query("show timezone")),
    _said(
        "SET LOCAL",
        query("begin; set local work_mem = '5MB'"),
        query("show work_mem"),
        query("commit"),
    ),
    _said(
        "SET rolled back",
        query("begin; set work_mem = '5MB'"),
        query("rollback"),
        query("show work_mem"),
    ),
    _said(
        "COPY in",
        (query("copy faulted from stdin"), "G"),
        data("3\tthree\n") + data("4\tfour\n") + COPY_DONE,
    ),
    _said("COPY in that fails", (query("copy faulted from stdin"), "G"), data("x\n") + COPY_DONE),
    _said(
        "COPY in given up",
        (query("copy faulted from stdin"), "G"),
        data("5\tx\n") + copy_fail("no"),
    ),
    _said(
        "COPY in by Execute",
        (once("copy faulted from stdin") + FLUSH, "G"),
        data("6\ts\n") + COPY_DONE + SYNC,
    ),
    _said("COPY out", query("copy bulk to stdout")),
    _said(
        "a cursor",
        query("begin; declare c cursor for select n from bulk"),
        query("fetch 3 from c"),
        query("commit"),
    ),
    _said(
        "a cursor WITH HOLD",
        query("declare h cursor with hold for select n from bulk"),
        query("fetch 2 from h"),
        query("close h"),
    ),
    _said(
        "a temporary table",
        query("create temp table mine as select 1 as n"),
        query("select n from mine"),
    ),
    _said(
        "a session lock",
        query("select pg_advisory_lock(77)"),
        query("select pg_advisory_unlock(77)"),
    ),
    _said("LISTEN", query("listen faults"), query("unlisten faults")),
    _said("a function call", frontend.function_call(1397, (), (b"-5",), 0)),
    _said("nobody's statement", bind("nobody") + SYNC, query("execute nobody")),
    _said("goodbye in the same breath", (_ONE + frontend.terminate(), "closed")),
    _said("unfinished work and goodbye", (once("select 1") + frontend.terminate(), "closed")),
    Conversation("a login", ((_ONE, "Z"),), login={}),
    Conversation("a login with settings", ((_ONE, "Z"),), login={"work_mem": "7MB"}),
    Conversation("a backend is opened", ((_ONE, "Z"),), opens=True),
)
