"""The database that every script finds, made anew before each run, and read after it.

The schemas `public` and `other` are dropped each time: the database must be one of our own, or
empty, and is marked as ours by its comment.
"""

from __future__ import annotations

import re
from typing import Final

import trio

from trio_pool.conform.client import Client
from trio_pool.conform.script import Say, Script

MARK: Final = "trio-pool conform: dropped and made anew at every run"

TABLES: Final = """
create table t (id int primary key, v text);
insert into t values (1, 'one'), (2, 'two'), (3, 'three');
create table u (a int primary key);
create table late (a int primary key deferrable initially deferred);
"""
FIXTURES: Final = f"""
{TABLES}
create domain positive as int check (value > 0);
create type mood as enum ('sad', 'ok', 'happy');
create function loud(a int) returns int language plpgsql
    as $$ begin raise notice 'loud %', a; return a; end $$;
create function noon(a int) returns text language sql as $$ select 'int' $$;
create procedure in_two_steps() language plpgsql
    as $$ begin insert into u values (100); commit; insert into u values (101); end $$;
create procedure in_one_step() language plpgsql as $$ begin insert into u values (200); end $$;
create schema other;
create table other.t (id int primary key, v int);
insert into other.t values (10, 100);
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
    "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = relnamespace"
    " where relkind = 'r' and nspname in ('public', 'other') order by 1"
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
    rb"insert|update|delete|truncate|alter|create|drop|call|copy u", re.IGNORECASE
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
    await admin.rows(f"alter database {name} set lock_timeout = '1s'")


def changes(script: Script) -> bool:
    """Whether a random script may change what is in the tables."""
    return any(isinstance(step, Say) and _CHANGING.search(step.data) for step in script.steps)


async def make_anew(admin: Client) -> None:
    """Forget what a run has left and create the fixtures."""
    for (gid,) in await admin.rows(_PREPARED):
        await admin.rows(f"rollback prepared '{gid}'")
    await admin.rows(_CLEAR + FIXTURES)


async def restore_tables(admin: Client) -> None:
    """Forget what random scripts have left, which change nothing but tables."""
    await admin.rows("drop table if exists t, u, late, made cascade;" + TABLES)


async def contents(admin: Client) -> dict[str, str | None]:
    """All rows of all tables that a script can have changed, as text, by table."""
    found: dict[str, str | None] = {}
    for (table,) in await admin.rows(_TABLES):
        sql = f"select string_agg(x::text, ' ' order by x::text) from {table} x"
        ((rows,),) = await admin.rows(sql)
        found[str(table)] = rows
    return found


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
