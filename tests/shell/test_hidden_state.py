"""Triggers, defaults, views and functions that leave something in the session: it is found.

The statement that sets them off shows no word of it; the pool knows their names from the
server's catalogues.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.conform.words import SYNC, data, once
from trio_pool.embedded import LocalServer
from trio_pool.pinned import pinned

pytestmark = pytest.mark.postgres


def query(text: str) -> bytes:
    return frontend.query(text.encode())


def value(client: RawClient, sql: str) -> str | None:
    return client.rows(sql)[0][0]


@pytest.fixture
def hiding(postgres: LocalServer) -> Iterator[None]:
    """Tables whose triggers, defaults and policies leave something, and one that does not."""
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        root.execute(
            "create schema hidden; set search_path = hidden;"
            " create function notes() returns trigger language plpgsql as $$begin"
            " perform set_config('hidden.note', 'noted', false); return coalesce(new, old); end$$;"
            " create table noted (note text);"
            " create trigger t before insert or update or delete on noted"
            " for each row execute function notes();"
            " create table parent (id int primary key);"
            " create table child (of int references parent on delete cascade);"
            " create trigger t after delete on child for each row execute function notes();"
            " create view seen as select note from noted;"
            " create function sets() returns text language sql as"
            " $$select set_config('hidden.note', 'noted', false)$$;"
            " create table defaulting (a int, b text default sets());"
            " create table plain (note text default lower('X'));"
            " create function local() returns trigger language plpgsql as $$begin"
            " perform set_config('hidden.note', coalesce(new.note, lower('x')), true);"
            " return new; end$$;"
            " create table locally (note text);"
            " create trigger t before insert on locally for each row execute function local();"
            " create function makes() returns trigger language plpgsql as $$begin"
            " execute 'create temp table made as select 7 as a'; return new; end$$;"
            " create table making (a int);"
            " create trigger t before insert on making for each row execute function makes();"
            " create function locks() returns trigger language plpgsql as $$begin"
            " perform pg_advisory_lock(4714); return new; end$$;"
            " create table locking (a int);"
            " create trigger t before insert on locking for each row execute function locks();"
            " insert into noted values ('old'); insert into parent values (1), (2);"
            " insert into child values (1), (2)"
        )
        yield
        root.execute("drop schema hidden cascade")


READ = "select current_setting('hidden.note', true)"

STATEMENTS = (
    "insert into hidden.noted values ('x')",
    "update hidden.noted set note = 'x'",
    "delete from hidden.noted",
    "merge into hidden.noted n using (select 1) x on false"
    " when not matched then insert values ('x')",
    "with n as (insert into hidden.noted values ('x') returning note) select * from n",
    "insert into hidden.seen values ('x')",
    "delete from hidden.parent where id = 1",
    "insert into hidden.defaulting values (1)",
    "insert into hidden.plain select hidden.sets()",
    "insert into hidden.plain values (hidden.sets())",
    "values (hidden.sets())",
    "explain analyze insert into hidden.noted values ('x')",
    "INSERT INTO hidden.\"noted\" VALUES ('x')",
)


@pytest.mark.usefixtures("hiding")
@pytest.mark.parametrize("extended", [False, True], ids=["query", "extended"])
@pytest.mark.parametrize("text", STATEMENTS)
def test_a_setting_that_a_trigger_makes_follows_its_client(
    pool: StartPool, text: str, extended: bool
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        replies = client.ask(once(text) + SYNC if extended else query(text))
        assert "E" not in {reply[0] for reply in replies}, replies
        assert value(other, READ) is None
        assert value(client, READ) == "noted"
        assert value(other, READ) is None


@pytest.mark.usefixtures("hiding")
def test_it_is_found_in_scripts_copies_and_prepared_statements(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    insert = "insert into hidden.noted values ('x')"
    with client_of(running) as other:
        with client_of(running) as client:
            client.ask(query(f"begin; select 1; {insert}; commit"))
            assert (value(other, READ), value(client, READ)) == (None, "noted")
        with client_of(running) as client:
            client.ask(query("copy hidden.noted from stdin"), "G")
            client.ask(data("x\n") + frontend.copy_done())
            assert (value(other, READ), value(client, READ)) == (None, "noted")
        with client_of(running) as client:
            client.ask(query(f"prepare p as {insert}"))
            assert value(client, READ) is None
            client.ask(query("execute p"))
            assert (value(other, READ), value(client, READ)) == (None, "noted")


@pytest.mark.usefixtures("hiding")
def test_what_a_trigger_makes_or_locks_keeps_its_client_where_it_is(pool: StartPool) -> None:
    running = pool(default_pool_size=3)
    with client_of(running) as maker, client_of(running) as locker, client_of(running) as other:
        maker.ask(query("insert into hidden.making values (1)"))
        locker.ask(once("insert into hidden.locking values (1)") + SYNC)
        for _ in range(2):
            assert "42P01" in str(other.ask(query("select a from made")))
            assert value(maker, "select a from made") == "7"
            assert value(other, "select pg_try_advisory_lock(4714)") == "f"
        reasons = {pin.reason for pin in pinned(list(running.serving.server.sessions.values()))}
        assert reasons == {"temporary objects", "session advisory lock"}
        assert value(locker, "select pg_advisory_unlock(4714)") == "t"


@pytest.mark.usefixtures("hiding")
@pytest.mark.parametrize(
    "text",
    [
        "insert into hidden.plain values ('x')",
        "update hidden.plain set note = 'x'",
        "delete from hidden.plain",
        "insert into hidden.locally values ('x')",
    ],
)
def test_nobody_is_asked_about_tables_that_leave_nothing(pool: StartPool, text: str) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client:
        for _ in range(3):
            client.ask(query(text))
            client.ask(once(text) + SYNC)
        assert running.serving.counters.questions == 0


@pytest.mark.usefixtures("hiding")
@pytest.mark.parametrize("extended", [False, True], ids=["query", "extended"])
def test_a_trigger_made_through_the_pool_is_known_at_once(pool: StartPool, extended: bool) -> None:
    running = pool(default_pool_size=1)

    def say(client: RawClient, text: str) -> None:
        client.ask(once(text) + SYNC if extended else query(text))

    with client_of(running) as client, client_of(running) as other:
        say(client, "insert into hidden.plain values ('x')")
        say(
            client,
            "create function hidden.late() returns trigger language plpgsql as $$begin"
            " perform set_config('hidden.note', 'late', false); return new; end$$",
        )
        say(
            client,
            "create trigger t before insert on hidden.plain"
            " for each row execute function hidden.late()",
        )
        say(client, "insert into hidden.plain values ('x')")
        assert (value(other, READ), value(client, READ)) == (None, "late")


@pytest.mark.usefixtures("hiding")
def test_a_path_of_ones_own_does_not_change_what_is_found(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(
            query(
                "create function hidden.lower(text) returns text language sql as $$select ''$$;"
                " set search_path = hidden, pg_catalog;"
            )
        )
        client.ask(query("create view another as select 1"))
        client.ask(query("insert into noted values ('x')"))
        assert (value(other, READ), value(client, READ)) == (None, "noted")
