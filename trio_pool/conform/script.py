"""A script: who says what, in which order, and what ends each step.

A script holds no expected answers. What a direct connection answers is the expectation, so a
script can be wrong only by being uninteresting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from trio_pool.conform.words import Text, query


@attrs.frozen
class Say:
    """Client `client` sends `data` and reads until the letters of `until` have come.

    An empty `until` reads nothing: what comes belongs to a later step. `pins` says that from here
    on the client may keep its backend, because of session state that cannot be replayed.
    """

    client: int
    data: bytes
    until: str = "Z"
    pins: bool = False


@attrs.frozen
class Join:
    """Client `client` connects (again) with these startup parameters.

    Every client that a script uses without having joined connects at its first step.
    """

    client: int
    parameters: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Leave:
    """Client `client` goes without a goodbye, or, with `reset`, by a connection reset."""

    client: int
    reset: bool = False


@attrs.frozen
class Cancel:
    """A CancelRequest with the key of client `client`, on a connection of its own."""

    client: int


@attrs.frozen
class Meanwhile:
    """A superuser, directly on the server, runs `sql`."""

    sql: str


@attrs.frozen
class Await:
    """A superuser, directly on the server, asks `sql` again and again until it is true."""

    sql: str


# An `until` that stands for as many ReadyForQuery as come: for a direct connection to find out.
FIND_OUT: Final = "?"

Step = Say | Join | Leave | Cancel | Meanwhile | Await


@attrs.frozen
class Script:
    """A conversation with a sentence for a name.

    `cases` and `scenarios` number the hard cases and acceptance scenarios it stands for; `at_once`
    is how many of its clients may hold a backend at the same time. `gap` says what the pool cannot
    do yet, if that is why the script fails. `fresh` wants backends on which nothing is prepared:
    PostgreSQL reads the constants of a statement again when it uses it after any DDL.
    """

    title: str
    steps: tuple[Step, ...]
    cases: tuple[int, ...] = ()
    scenarios: tuple[int, ...] = ()
    at_once: int = 1
    gap: str = ""
    fresh: bool = False


def script(
    title: str,
    *steps: Step | bytes,
    cases: Sequence[int] = (),
    scenarios: Sequence[int] = (),
    at_once: int = 1,
    gap: str = "",
    fresh: bool = False,
) -> Script:
    """A Script whose bare bytes are said by client 0 and end at ReadyForQuery."""
    said = tuple(Say(0, step) if isinstance(step, bytes) else step for step in steps)
    return Script(title, said, tuple(cases), tuple(scenarios), at_once, gap, fresh)


def ask(sql: Text, client: int = 0, until: str = "Z", *, pins: bool = False) -> Say:
    """A simple Query."""
    return Say(client, query(sql), until, pins)


def other(data: bytes, until: str = "Z") -> Say:
    """Client 1 says this."""
    return Say(1, data, until)


# While this holds, a statement is inside pg_sleep and can be cancelled.
SLEEPING = Await(
    "select exists (select from pg_stat_activity"
    " where wait_event = 'PgSleep' and datname = current_database())"
)
