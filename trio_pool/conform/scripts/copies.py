"""COPY in both directions, in simple queries and in pipelines, completed, failed and late."""

from __future__ import annotations

from typing import Final

from trio_pool.conform.script import Say, ask, script
from trio_pool.conform.words import (
    COPY_DONE,
    SYNC,
    bind,
    copy_fail,
    data,
    execute,
    once,
    parse,
    query,
    run,
)

COPY_IN: Final = "copy u from stdin"
ROWS: Final = data("1\n2\n") + data("3\n")

SCRIPTS: Final = (
    script(
        "rows are copied in by a simple query",
        ask(COPY_IN, until="G"),
        ROWS + COPY_DONE,
        ask("select a from u"),
        scenarios=(32,),
    ),
    script(
        "rows are copied in without waiting for CopyInResponse",
        query(COPY_IN) + ROWS + COPY_DONE,
        ask("select a from u"),
        scenarios=(32,),
    ),
    script(
        "rows are copied in through the extended protocol and Sync comes after",
        Say(0, parse("s", COPY_IN) + bind("s") + execute() + SYNC, "G"),
        ROWS + COPY_DONE + SYNC,
        ask("select a from u"),
        ask("delete from u"),
        Say(0, bind("s") + execute() + SYNC, "G"),
        data("9\n") + COPY_DONE + SYNC,
        ask("select a from u"),
        scenarios=(32,),
        cases=(139,),
    ),
    script(
        "Syncs sent during a copy are swallowed",
        Say(0, once(COPY_IN) + SYNC, "G"),
        Say(0, data("1\n") + SYNC + data("2\n") + SYNC + SYNC, ""),
        data("3\n") + COPY_DONE + SYNC,
        ask("select a from u"),
        scenarios=(32,),
        cases=(139,),
    ),
    script(
        "a copy in the middle of a pipeline",
        Say(0, once("insert into u values (7)") + once(COPY_IN) + SYNC, "G"),
        ROWS + COPY_DONE + once("select a from u") + SYNC,
        ask("select a from u"),
        scenarios=(32,),
        cases=(139,),
    ),
    script(
        "a whole copy is pipelined with its Syncs",
        once(COPY_IN) + SYNC + ROWS + COPY_DONE + SYNC,
        ask("select a from u"),
        scenarios=(32,),
        cases=(139,),
    ),
    script(
        "a copy is failed by the client",
        ask(COPY_IN, until="G"),
        ROWS + copy_fail("changed my mind"),
        ask("select a from u"),
        Say(0, once(COPY_IN) + SYNC, "G"),
        ROWS + copy_fail("once more") + SYNC,
        ask("select a from u"),
        cases=(142,),
    ),
    script(
        "a bad row fails a copy and late data is ignored",
        ask(COPY_IN, until="G"),
        data("1\nnot a number\n") + data("2\n") * 3 + COPY_DONE,
        data("4\n") + COPY_DONE + query("select a from u"),
        ask("select 'still here'"),
        scenarios=(32,),
        cases=(141,),
    ),
    script(
        "a bad row fails a copy through the extended protocol",
        Say(0, once(COPY_IN) + SYNC, "G"),
        Say(0, data("1\nnot a number\n") + COPY_DONE, "E"),
        SYNC,
        ask("select a from u"),
        scenarios=(32,),
        cases=(140,),
    ),
    script(
        "a copy fails before it begins and its data comes late",
        query("copy no_such_table from stdin") + ROWS + COPY_DONE,
        ask("select 'still here'"),
        once("copy no_such_table from stdin") + ROWS + COPY_DONE + SYNC,
        ask("select 'still here'"),
        scenarios=(32,),
        cases=(141,),
    ),
    script(
        "copy messages without a copy are ignored",
        Say(0, ROWS + COPY_DONE + copy_fail("nothing") + query("select 1"), "Z"),
        Say(0, ROWS, ""),
        SYNC,
        cases=(141,),
    ),
    script(
        "several copies and a query share one simple query",
        ask("copy u from stdin; select count(*) from u; copy u from stdin", until="G"),
        Say(0, data("1\n") + COPY_DONE, "G"),
        data("2\n") + COPY_DONE,
        ask("select a from u"),
        cases=(144,),
    ),
    script(
        "rows are copied out",
        ask("copy t to stdout"),
        ask("copy (select generate_series(1, 3)) to stdout; select 1"),
        once("copy t to stdout (format csv)") + SYNC,
        parse("s", "copy t to stdout") + run("s") + run("s") + SYNC,
        run("s") + SYNC,
        cases=(145,),
    ),
    script(
        "much is copied out",
        ask("copy (select repeat('x', 1000) from generate_series(1, 5000)) to stdout"),
        ask("select 1"),
        cases=(145,),
    ),
    script(
        "binary copies pass untouched",
        ask("copy u to stdout (format binary)"),
        ask("copy u from stdin (format binary)", until="G"),
        data(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        + data(b"\0\1\0\0\0\4\0\0\0\7")
        + data(b"\xff\xff")
        + COPY_DONE,
        ask("select a from u"),
    ),
    script(
        "a copy with empty and split messages",
        ask(COPY_IN, until="G"),
        data("") + data("1") + data("2\n") + data("") + COPY_DONE,
        ask("select a from u"),
        cases=(150,),
    ),
    script(
        "a copy belongs to a transaction that is rolled back",
        ask("begin"),
        ask(COPY_IN, until="G"),
        ROWS + COPY_DONE,
        ask("select a from u"),
        ask("rollback"),
        ask("select a from u"),
    ),
    script(
        "a copy fails in a transaction",
        ask("begin"),
        ask(COPY_IN, until="G"),
        data("bad\n") + COPY_DONE,
        ask("select 1"),
        ask("rollback"),
    ),
    script(
        "another message during a copy ends the connection",
        ask(COPY_IN, until="G"),
        Say(0, parse("s", "select 1"), "closed"),
        cases=(143,),
    ),
)
