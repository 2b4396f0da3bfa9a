"""More statements than a backend may keep."""

from __future__ import annotations

from typing import Final

from trio_pool.conform.script import Say, ask, other, script
from trio_pool.conform.words import SYNC, bind, close, execute, parse, run

MANY: Final = 12


def _all(message: str) -> bytes:
    """Parse or use every one of many statements, in one segment."""
    if message == "parse":
        return b"".join(parse(f"s{n}", f"select {n}, $1::text") for n in range(MANY)) + SYNC
    return b"".join(run(f"s{n}", message) for n in range(MANY)) + SYNC


THREE: Final = run("s1", "x") + run("s2", "x") + run("s3", "x") + SYNC

SCRIPTS: Final = (
    script(
        "many statements are parsed and used in one pipeline each",
        _all("parse"),
        _all("once"),
        _all("twice"),
        run("s0", "first") + run(f"s{MANY - 1}", "last") + SYNC,
        scenarios=(29,),
        cases=(48,),
    ),
    script(
        "many statements are used one by one, there and back",
        _all("parse"),
        *(run(f"s{n}", "there") + SYNC for n in range(MANY)),
        *(run(f"s{n}", "back") + SYNC for n in reversed(range(MANY))),
        scenarios=(29,),
    ),
    script(
        "an error comes in the pipeline that needs more than a backend keeps",
        _all("parse"),
        run("s0", "x")
        + run("s1", "x")
        + run("s2", "x")
        + bind("nobody")
        + run("s3", "x")
        + run("s4", "x")
        + SYNC,
        _all("after"),
        run("s5", "x") + run("s6", b"\xff") + run("s7", "x") + run("s8", "x") + SYNC,
        _all("again"),
        scenarios=(29,),
        cases=(49, 50),
    ),
    script(
        "a statement that does not parse comes in the pipeline that evicts",
        _all("parse"),
        run("s0", "x") + parse("bad", "selec") + run("s1", "x") + SYNC,
        run("s1", "x") + parse("s0", "taken") + run("s2", "x") + SYNC,
        _all("after"),
        cases=(49, 50, 51),
    ),
    script(
        "statements are closed and parsed again while others evict them",
        _all("parse"),
        close("s0") + close("s5") + SYNC,
        THREE,
        bind("s0", "x") + SYNC,
        parse("s0", "select 'new'") + parse("s5", "select 'new too'") + SYNC,
        THREE,
        run("s0") + run("s5") + SYNC,
    ),
    script(
        "two clients with the same texts push each other out",
        _all("parse"),
        other(_all("parse")),
        _all("first"),
        other(_all("second")),
        run("s0", "x") + SYNC,
        other(run("s0", "y") + SYNC),
    ),
    script(
        "SQL statements are pushed out too",
        *(ask(f"prepare s{n} as select {n}") for n in range(4)),
        *(ask(f"execute s{n}") for n in range(4)),
        ask("execute s0; execute s1; execute s2; execute s3"),
        ask("deallocate s0"),
        ask("execute s0"),
        ask("execute s1"),
    ),
    script(
        "a portal outlives the eviction of its statement",
        parse("s", "select id from t order by id") + _all("parse"),
        ask("begin"),
        bind("s", portal="c") + execute(1, "c") + SYNC,
        _all("between"),
        Say(0, execute(1, "c") + SYNC),
        run("s") + SYNC,
        execute(5, "c") + SYNC,
        ask("commit"),
        cases=(47, 48),
    ),
    script(
        "many statements are used in one transaction",
        _all("parse"),
        ask("begin"),
        _all("once"),
        *(run(f"s{n}", "x") + SYNC for n in range(MANY)),
        ask("select 1/0"),
        run("s0", "x") + SYNC,
        ask("rollback"),
        _all("after"),
    ),
)
