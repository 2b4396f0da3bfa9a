"""The database that every script finds, made anew before each run, and read after it.

The schemas `public` and `other` are dropped each time: the database must be one of our own, or
empty, and is marked as ours by its comment.
"""

from __future__ import annotations

import re
from typing import Final

import attrs
import trio

from trio_pool.conform.client import Client
from trio_pool.conform.script import Say, Script

MARK: Final = "trio-pool conform: dropped and made anew at every run"

TABLES: Final = {
    "t": """
create table t (id int primary key, v text);
insert into t values (1, 'one'), (2, 'two'), (3, 'three');
""",
    "u": "create table u (a int primary key);",
    "late": "create table late (a int primary key deferrable initially deferred);",
    "sink": "create table sink (a text);",
    "other.t": """
create table other.t (id int primary key, v int);
insert into other.t values (10, 100);
""",
}
FIXTURES: Final = f"""
create schema other;
{"".join(TABLES.values())}
create domain positive as int check (value > 0);
create type mood as enum ('sad', 'ok', 'happy');
create function loud(a int) returns int language plpgsql
    as $$ begin raise notice 'loud %', a; return a; end $$;
create function noon(a int) returns text language sql as $$ select 'int' $$;
create procedure in_two_steps() language plpgsql
    as $$ begin insert into u values (100); commit; insert into u values (101); end $$;
create procedure in_one_step() language plpgsql as $$ begin insert into u values (200); end $$;
"""

_CLEAR: Final = """
set synchronous_commit = off;
set lock_timeout = '5s';
set client_min_messages = warning;
drop schema if exists public, other cascade;
create schema public;
grant all on schema public to public;
"""

_MARK = "select shobj_description(oid, 'pg_database') from pg_database where datname = "
_RELATIONS = (
    "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace"
    " where nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp)'"
)
_PREPARED = "select gid from pg_prepared_xacts where database = current_database()"
_TABLES = (
    "select c.oid::regclass::text, c.oid, relfilenode, relnatts"
    " from pg_class c join pg_namespace n on n.oid = relnamespace"
    " where relkind = 'r' and nspname in ('public', 'other') order by 1"
)
_LOOK = (
    "select '{table}', string_agg(x::text, ' ' order by x::text),"
    " string_agg(x.ctid::text || x.xmin, ' ' order by x.ctid) from {table} x"
)
# Why not our own: that is the connection which asks.
_OTHERS = (
    "select pid, pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
    " and backend_type = 'client backend'"
)


_END_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.01


# A random script without any of these leaves the tables as they are.
_CHANGING: Final = re.compile(
    rb"insert|update|delete|truncate|alter|create|drop|call|copy (u|sink) ", re.IGNORECASE
)


class NotOurs(Exception):
    """The database holds something, and not by our doing."""


async def create_database(root: Client, name: str) -> None:
    """Create a database for the scripts, unless it is there."""
    if not await root.rows(f"select from pg_database where datname = '{name}'"):
        await root.rows(f'create database "{name}"')


async def take_over(admin: Client) -> None:
    """Mark the database as ours. Raises NotOurs when it is neither empty nor marked."""
    found = await admin.rows(f"{_MARK} current_database()")
    if found == [(MARK,)]:
        return
    if await admin.rows(_RELATIONS) != [("0",)]:
        raise NotOurs(admin.door.database)
    name = '"' + admin.door.database.replace('"', '""') + '"'
    await admin.rows(f"comment on database {name} is '{MARK}'")
    # Two clients that want one lock are told so, in the same words on both sides.
    await admin.rows(f"alter database {name} set lock_timeout = '250ms'")


def changes(script: Script) -> bool:
    """Whether a random script may change what is in the tables."""
    return any(isinstance(step, Say) and _CHANGING.search(step.data) for step in script.steps)


async def make_anew(admin: Client) -> None:
    """Forget what a run has left and create the fixtures."""
    for (gid,) in await admin.rows(_PREPARED):
        await admin.rows(f"rollback prepared '{gid}'")
    await admin.rows(_CLEAR + FIXTURES)


@attrs.frozen
class Contents:
    """What is in the tables that a script can have changed.

    `rows` has all rows of each as text. The version of a table is equal only if nobody has changed
    it or a row of it in between, not even to the same.
    """

    rows: dict[str, str | None]
    versions: dict[str, object]


async def contents(admin: Client) -> Contents:
    """Look at all tables."""
    found = await admin.rows(_TABLES)
    if not found:
        return Contents({}, {})
    looks = await admin.rows(" union all ".join(_LOOK.format(table=row[0]) for row in found))
    made = {row[0]: row for row in found}
    return Contents(
        {str(table): rows for table, rows, _ in looks},
        {str(table): (made[table], version) for table, _, version in looks},
    )


async def restore_tables(admin: Client, now: Contents, as_made: Contents) -> None:
    """Forget what random scripts have left, which change nothing but tables."""
    names = {*now.versions, *as_made.versions}
    changed = [name for name in names if now.versions.get(name) != as_made.versions.get(name)]
    if changed:
        anew = "".join(TABLES.get(name, "") for name in changed)
        await admin.rows(f"drop table if exists {', '.join(changed)} cascade; {anew}")


async def end_all_others(admin: Client) -> None:
    """End every other connection to the database, so that nothing a script left lives on.

    Waits until they are gone: a pooler must not lend one that is about to end.
    """
    ended = [str(row[0]) for row in await admin.rows(_OTHERS)]
    if not ended:
        return
    alive = f"select pid from pg_stat_activity where pid in ({', '.join(ended)})"
    with trio.move_on_after(_END_SECONDS):
        # Why no event: another process decides.
        while await admin.rows(alive):  # noqa: ASYNC110
            await trio.sleep(_LOOK_SECONDS)
