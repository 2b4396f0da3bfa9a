"""Strategies for conversations in the model's language.

Few names and few texts, so that they collide. A script is a sequence of segments, each ending in
Sync or a simple Query, so that it is known when its answer is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from hypothesis import strategies as st

from trio_pool.conform.words import (
    FLUSH,
    SYNC,
    bind,
    close,
    close_portal,
    describe,
    describe_portal,
    execute,
    parse,
    query,
)

NAMES: Final = ("", "a", "b")
PORTALS: Final = ("", "", "", "c")
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
ALL_TEXTS: Final = (*SELECTS, *REFUSED, *CONTROL, *ABOUT_STATEMENTS, *SETTINGS, *DISCARDS)
# Statements about statements and about transactions have a name that SQL never executes: one that
# executed itself would never end, and transaction control by EXECUTE is odd (access/transam).
INDIRECT_NAME: Final = "t"
INDIRECT_TEXTS: Final = (*CONTROL, *ABOUT_STATEMENTS)
NAMED_TEXTS: Final = (*SELECTS, *REFUSED, *SETTINGS, *DISCARDS)


@attrs.frozen
class Segment:
    """What `client` sends before it waits for all answers."""

    client: int
    data: bytes


texts = st.sampled_from(ALL_TEXTS)
names = st.sampled_from(NAMES)
portals = st.sampled_from(PORTALS)
parameters = st.sampled_from([(), (), ("x",)])


def _use(name: str, values: tuple[str, ...], rows: int) -> bytes:
    return bind(name, *values) + execute(rows)


messages: Final = st.one_of(
    st.builds(parse, names, st.sampled_from(NAMED_TEXTS)),
    st.builds(parse, st.just(INDIRECT_NAME), st.sampled_from(INDIRECT_TEXTS)),
    st.builds(_use, st.just(INDIRECT_NAME), st.just(()), st.just(0)),
    st.builds(close, st.just(INDIRECT_NAME)),
    st.builds(parse, names, st.sampled_from(SELECTS)),
    st.builds(_use, names, parameters, st.sampled_from([0, 0, 0, 1, 2])),
    st.builds(lambda name, portal: bind(name, portal=portal), names, portals),
    st.builds(execute, st.sampled_from([0, 1, 2]), portals),
    st.builds(describe, names),
    st.builds(describe_portal, portals),
    st.builds(close, names),
    st.builds(close_portal, portals),
    st.builds(lambda text: parse("", text) + bind("") + execute(), texts),
    st.just(FLUSH),
)


def _joined(parts: Sequence[bytes], end: bytes) -> bytes:
    return b"".join(parts) + end


queries: Final = st.builds(
    lambda parts: query("; ".join(parts)), st.lists(texts, min_size=1, max_size=3)
)
extended: Final = st.builds(
    _joined, st.lists(messages, min_size=1, max_size=6), st.sampled_from([SYNC, SYNC, SYNC + SYNC])
)
pipelined: Final = st.builds(_joined, st.lists(extended, min_size=1, max_size=3), st.just(b""))
unsynced_then_query: Final = st.builds(
    lambda parts, text: b"".join(parts) + query(text) + SYNC,
    st.lists(messages, min_size=1, max_size=3),
    texts,
)
segment_data: Final = st.one_of(extended, extended, queries, pipelined, unsynced_then_query)


def scripts(clients: int = 1, length: int = 8) -> st.SearchStrategy[list[Segment]]:
    """Segments of several clients, in the order in which they are said."""
    segments = st.builds(Segment, st.integers(0, clients - 1), segment_data)
    return st.lists(segments, min_size=1, max_size=length)


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


chunk_sizes: Final = st.lists(st.integers(1, 40), max_size=4)
