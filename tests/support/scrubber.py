"""Looks for what a backend that goes back to the pool may not keep.

Two looks: from outside, at all backends of the pool, and from inside, through the pool, at the
one that serves the look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from tests.support.raw import RawClient

SETTLING_SECONDS: Final = 3.0

# Only backends of the database under test; the looker itself is not counted.
_FROM_OUTSIDE: Final = {
    "an open transaction": (
        "select pid || ' ' || state || ' ' || query from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and (state like 'idle in transaction%' or xact_start is not null)"
    ),
    "a lock": (
        "select pid || ' ' || locktype || ' ' || mode from pg_locks l"
        " join pg_database d on d.oid = l.database"
        " where datname = current_database() and pid <> pg_backend_pid()"
    ),
}

_FROM_INSIDE: Final = {
    "a setting": (
        "select name || ' = ' || setting from pg_settings"
        " where source = 'session' and setting is distinct from reset_val"
        " and name not in ('application_name')"
    ),
    "a prepared statement": "select name from pg_prepared_statements where name !~ '^_tp_'",
    "a cursor": "select name from pg_cursors where name <> ''",
    "a session lock": (
        "select mode from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'"
    ),
    "a channel": "select pg_listening_channels()",
    "a temporary table": "select relname from pg_class where relnamespace = pg_my_temp_schema()",
    "a role": "select current_user where current_user <> session_user",
}


def what_is_left(through_pool: RawClient, admin: RawClient) -> list[str]:
    """Everything found that should not be there, as sentences; closes the client it was given.

    `admin` is connected directly to the same database. What is seen from outside may take a
    moment to go, since a server notices only in its own time that a connection was closed.
    """
    found = _look(_FROM_INSIDE, through_pool)
    through_pool.say_goodbye()
    deadline = time.monotonic() + SETTLING_SECONDS
    while (left := _look(_FROM_OUTSIDE, admin)) and time.monotonic() < deadline:
        pass
    return found + left


def _look(queries: Mapping[str, str], client: RawClient) -> list[str]:
    return [f"{what}: {row[0]}" for what, sql in queries.items() for row in client.rows(sql)]
