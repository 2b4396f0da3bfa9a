"""Random conversations in the language that a model of PostgreSQL understands, too.

Few names and few texts, so that they collide. A script is a sequence of segments, each ending in
Sync or a simple Query, so that it is known when its answer is complete. Who chooses is given from
outside: `random.Random`, or a property-based test that wants to make a failure smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import attrs

from trio_pool.conform.words import (
    COPY_DONE,
    FLUSH,
    SYNC,
    bind,
    close,
    close_portal,
    copy_fail,
    data,
    describe,
    describe_portal,
    execute,
    parse,
    query,
)

NAMES: Final = ("", "a", "b")
PORTALS: Final = ("", "", "", "c")
# Why not the unnamed one: a Query that fails in a block leaves it behind with memory that is freed,
# and who executes that may end the server (seen in PostgreSQL 15.18).
_USED_PORTALS: Final = ("c", "c", "cur")
SELECTS: Final = (
    "select 'one'",
    "select 'two'",
    "select $1::text",
    "select generate_series(1, 3)",
)
REFUSED: Final = ("selec", "select 1/0", "select * from nowhere", "execute nobody", "")
CONTROL: Final = ("begin", "commit", "rollback", "begin", "rollback")
ABOUT_STATEMENTS: Final = (
    "prepare a as select 'sql'",
    "prepare b (text) as select $1::text",
    "prepare a as select * from nowhere",
    "execute a",
    "execute b ('x')",
    "explain_nothing a",
    "deallocate a",
    "deallocate prepare b",
    "deallocate all",
    "/* c */ execute a;",
    'execute "a"',
)
SETTINGS: Final = (
    "set application_name = 'me'",
    "set datestyle = 'ISO, YMD'",
    "show datestyle",
)
DISCARDS: Final = ("discard all", "discard plans")
COPIES_OUT: Final = (
    "copy (select 'one') to stdout",
    "copy (select generate_series(1, 3)) to stdout",
)
# The names of cursors are those of portals; this one is nobody's else.
CURSOR: Final = "cur"
CURSORS: Final = (
    "declare cur cursor for select generate_series(1, 3)",
    "declare cur cursor for select 'one'",
    "fetch 2 from cur",
    "fetch 2 from cur",
    "close cur",
    "close all",
)
ALL_TEXTS: Final = (
    *SELECTS,
    *REFUSED,
    *CONTROL,
    *ABOUT_STATEMENTS,
    *SETTINGS,
    *DISCARDS,
    *COPIES_OUT,
)
# Only a Query says these: what FETCH shows depends on when it is parsed, bound and executed.
QUERIED_TEXTS: Final = (*ALL_TEXTS, *CURSORS)
# Statements about statements and about transactions have a name that SQL never executes: one that
# executed itself would never end, and transaction control by EXECUTE is odd (access/transam).
INDIRECT_NAME: Final = "t"
INDIRECT_TEXTS: Final = (*CONTROL, *ABOUT_STATEMENTS, *COPIES_OUT)
# What copies has a name and a portal that nobody uses without saying the data behind it.
COPY_NAME: Final = "k"
COPIES_IN: Final = ("copy sink from stdin", "copy sink from stdin", "copy nowhere from stdin")
COPIED: Final = ("x\n", "y\nz\n", "w", "")
NAMED_TEXTS: Final = (*SELECTS, *REFUSED, *SETTINGS, *DISCARDS)
PARAMETERS: Final = ((), (), ("x",))

_SEGMENT_MESSAGES_MAX: Final = 6

T = TypeVar("T")


class Choices(Protocol):
    """Who decides. `random.Random` does."""

    def choice(self, seq: Sequence[T], /) -> T:
        """One of these."""

    def randint(self, a: int, b: int, /) -> int:
        """A number from `a` to `b`, both included."""


Make = Callable[[Choices], bytes]


@attrs.frozen
class Segment:
    """What `client` sends before it waits for all answers."""

    client: int
    data: bytes


def script(choices: Choices, clients: int = 1, length: int = 8) -> list[Segment]:
    """Segments of several clients, in the order in which they are said."""
    count = choices.randint(1, length)
    return [Segment(choices.randint(0, clients - 1), segment_data(choices)) for _ in range(count)]


def segment_data(choices: Choices) -> bytes:
    """What one client says at once."""
    return choices.choice(_SEGMENTS)(choices)


def several(choices: Choices, most: int, make: Make) -> bytes:
    """One to `most` of these."""
    return b"".join(make(choices) for _ in range(choices.randint(1, most)))


def message(choices: Choices) -> bytes:
    """One message of the extended protocol, or a few that are mostly said together."""
    return choices.choice(_MESSAGES)(choices)


def texts_of_a_query(choices: Choices, texts: Sequence[str]) -> bytes:
    """A simple Query with one to three of these texts."""
    count = choices.randint(1, 3)
    return query("; ".join(choices.choice(texts) for _ in range(count)))


def extended(choices: Choices) -> bytes:
    """One segment of the extended protocol."""
    end = choices.choice((SYNC, SYNC, SYNC + SYNC))
    return several(choices, _SEGMENT_MESSAGES_MAX, message) + end


def _pipelined(choices: Choices) -> bytes:
    return several(choices, 3, extended)


def _query(choices: Choices) -> bytes:
    return texts_of_a_query(choices, QUERIED_TEXTS)


def _query_with_copy(choices: Choices) -> bytes:
    before = choices.choice(("", "", "select 'one'; ", "begin; ", "commit; "))
    behind = choices.choice(("", "", "; select 'two'", "; commit", "; select 1/0"))
    return query(before + choices.choice(COPIES_IN) + behind) + _data(choices)


def _copy(choices: Choices) -> bytes:
    """A COPY of the extended protocol, with Syncs that are none among its data."""
    name, text = COPY_NAME, choices.choice(COPIES_IN)
    prepared = close(name) + parse(name, text) if choices.randint(0, 2) else b""
    described = describe(name) if choices.randint(0, 1) else b""
    opened = bind(name, portal=name) + described + execute(portal=name)
    swallowed = SYNC if choices.randint(0, 3) == 0 else b""
    return prepared + close_portal(name) + opened + swallowed + _data(choices)


def _data(choices: Choices) -> bytes:
    said = b"".join(data(choices.choice(COPIED)) for _ in range(choices.randint(0, 3)))
    return said + choices.choice((COPY_DONE, COPY_DONE, copy_fail("no")))


def _unsynced_then_query(choices: Choices) -> bytes:
    return several(choices, 3, message) + query(choices.choice(ALL_TEXTS)) + SYNC


_SEGMENTS: Final = (
    extended,
    extended,
    _query,
    _pipelined,
    _unsynced_then_query,
    _query_with_copy,
)


def _parse(choices: Choices) -> bytes:
    return parse(choices.choice(NAMES), choices.choice(NAMED_TEXTS))


def _parse_select(choices: Choices) -> bytes:
    return parse(choices.choice(NAMES), choices.choice(SELECTS))


def _parse_indirect(choices: Choices) -> bytes:
    return parse(INDIRECT_NAME, choices.choice(INDIRECT_TEXTS))


def _use_indirect(choices: Choices) -> bytes:
    return bind(INDIRECT_NAME) + execute()


def _close_indirect(choices: Choices) -> bytes:
    return close(INDIRECT_NAME)


def _use(choices: Choices) -> bytes:
    rows = choices.choice((0, 0, 0, 1, 2))
    return bind(choices.choice(NAMES), *choices.choice(PARAMETERS)) + execute(rows)


def _bind(choices: Choices) -> bytes:
    return bind(choices.choice(NAMES), portal=choices.choice(PORTALS))


def _execute(choices: Choices) -> bytes:
    return execute(choices.choice((0, 1, 2)), choices.choice(_USED_PORTALS))


def _unnamed_again(choices: Choices) -> bytes:
    """The unnamed portal on both sides of a Sync, which it outlives in a block."""
    name = choices.choice((*NAMES, INDIRECT_NAME))
    # Why closed, and behind a Sync, so that no error makes the server skip that: what a failed COPY
    # leaves under no name ends a PostgreSQL 15 when it is executed (signal 11).
    closed = SYNC + close_portal("") + SYNC
    opened = closed + bind(name, *choices.choice(PARAMETERS)) + execute(1) + SYNC
    return opened + choices.choice((execute(1), describe_portal(""), close_portal("")))


def _describe(choices: Choices) -> bytes:
    return describe(choices.choice(NAMES))


def _describe_portal(choices: Choices) -> bytes:
    return describe_portal(choices.choice(_USED_PORTALS))


def _close(choices: Choices) -> bytes:
    return close(choices.choice(NAMES))


def _close_portal(choices: Choices) -> bytes:
    return close_portal(choices.choice(_USED_PORTALS))


def _once(choices: Choices) -> bytes:
    return parse("", choices.choice(ALL_TEXTS)) + bind("") + execute()


def _flush(choices: Choices) -> bytes:
    return FLUSH


_MESSAGES: Final[tuple[Make, ...]] = (
    _parse,
    _parse_indirect,
    _use_indirect,
    _close_indirect,
    _parse_select,
    _use,
    _bind,
    _execute,
    _unnamed_again,
    _describe,
    _describe_portal,
    _close,
    _close_portal,
    _once,
    _copy,
    _flush,
)


def chunked(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` cut into pieces of these sizes, again and again."""
    pieces: list[bytes] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        pieces.append(data[at : at + size])
        at += size
        turn += 1
    return pieces
