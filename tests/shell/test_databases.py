"""CREATE, ALTER and DROP DATABASE where the pool has been in the database before.

A server refuses them while anybody else is connected, and gives whoever leaves five seconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from tests.support.pooler import client_of
from trio_pool.config import Database
from trio_pool.conform.words import SYNC, parse, run

pytestmark = pytest.mark.postgres

# A watchdog, not a measurement.
PATIENCE_SECONDS = 60.0


@pytest.fixture
def name(postgres) -> Iterator[str]:
    """The name of a database that may be made, and of others that begin like it."""
    name = f"moved_{uuid4().hex[:12]}"
    yield name
    with psycopg.connect(postgres.url(), autocommit=True) as owner:
        made = owner.execute(
            "select datname from pg_database where starts_with(datname, %s)", (name,)
        )
        for (left,) in made.fetchall():
            owner.execute(f'drop database "{left}" with (force)')


@pytest.fixture
def running(pool):
    return pool(default_pool_size=3)


def visit(url: str) -> None:
    """Three clients at once, so that there are three backends, and then no client any more."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(url)) for _ in range(3)]
        for client in clients:
            client.execute("select 1")


@pytest.mark.parametrize("prepare", [False, True], ids=["Query", "Parse"])
def test_a_database_whose_clients_have_left_can_be_dropped_and_made_again(
    running, name: str, prepare: bool
) -> None:
    with psycopg.connect(running.url(), autocommit=True) as owner:
        for _ in range(3):
            owner.execute(f"create database {name}")
            visit(running.url(name))
            owner.execute(f"drop database {name}", prepare=prepare)


def test_a_prepared_statement_drops_a_database_as_often_as_it_is_executed(
    running, name: str
) -> None:
    drop = parse("drop", f"drop database {name}") + SYNC
    with client_of(running) as owner:
        for prepared in (drop, SYNC, SYNC):
            owner.rows(f"create database {name}")
            visit(running.url(name))
            owner.ask(prepared)

            assert ("C", "DROP DATABASE") in owner.ask(run("drop") + SYNC)


def test_a_database_can_be_copied_and_renamed(running, name: str) -> None:
    with psycopg.connect(running.url(), autocommit=True) as owner:
        owner.execute(f'create database "{name} A"')
        visit(running.url(f"{name} A"))
        owner.execute(f'/* a copy */ create database {name}_b with template "{name} A"')
        visit(running.url(f"{name} A"))
        owner.execute(f'alter database "{name} A" rename to {name}_c')
        visit(running.url(f"{name}_c"))
    with psycopg.connect(running.url(f"{name}_c"), autocommit=True) as owner:
        # Its own connection does not count, however many there have been beside it.
        owner.execute(f"create database {name}_d template {name}_c")
        assert owner.execute("select current_database()").fetchone() == (f"{name}_c",)


def test_where_a_client_is_connected_the_server_refuses(running, name: str) -> None:
    with psycopg.connect(running.url(), autocommit=True) as owner:
        owner.execute(f"create database {name}")
        with psycopg.connect(running.url(name)) as client:
            client.execute("create table t as select 42 as answer")
            client.commit()
            # It holds no backend, but a server of its own would know of it all the same.
            owner.execute("set statement_timeout = '400ms'")
            with pytest.raises((errors.ObjectInUse, errors.QueryCanceled)):
                owner.execute(f"drop database {name}")
            assert client.execute("select answer from t").fetchone() == (42,)


def test_whoever_leaves_while_the_server_waits_is_no_longer_in_the_way(
    postgres, running, name: str
) -> None:
    dropped: list[BaseException | None] = []

    def drop() -> None:
        try:
            with psycopg.connect(running.url(), autocommit=True) as owner:
                owner.execute(f"drop database {name}")
        except psycopg.Error as failure:
            dropped.append(failure)
        else:
            dropped.append(None)

    with (
        psycopg.connect(postgres.url(), autocommit=True) as witness,
        psycopg.connect(running.url(), autocommit=True) as owner,
    ):
        owner.execute(f"create database {name}")
        client = psycopg.connect(running.url(name))
        client.execute("select 1")
        client.commit()
        at_work = threading.Thread(target=drop)
        at_work.start()
        waits = "select count(*) from pg_stat_activity where query = %s and state = 'active'"
        give_up = time.monotonic() + PATIENCE_SECONDS
        while witness.execute(waits, (f"drop database {name}",)).fetchone() == (0,):
            assert time.monotonic() < give_up
        client.close()
        at_work.join(PATIENCE_SECONDS)
    assert dropped == [None]


def test_a_database_of_the_same_name_at_another_server_is_left_alone(
    postgres, pool, name: str
) -> None:
    there = Database(name=name, host="localhost", port=postgres.port, dbname=name)
    running = pool(default_pool_size=3, databases={name: there})
    with psycopg.connect(running.url(), autocommit=True) as owner:
        owner.execute(f"create database {name}")
        visit(running.url(name))
        before = running.serving.stats().backends
        owner.execute(f"alter database {name} set work_mem = '8MB'")
        assert running.serving.stats().backends == before
