"""PostgreSQL reads its configuration again, and a setting that it reports is another one by that.

The rule for every client, whatever it held and held not meanwhile: what it was told last is in
force for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.pooler import RunningPool, client_of, config_for, running_pool
from tests.support.raw import RawClient
from trio_pool.conform.words import SYNC, once, query
from trio_pool.embedded import LocalServer, local_postgres

pytestmark = pytest.mark.postgres


ISO, GERMAN = "ISO, MDY", "German, MDY"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A PostgreSQL whose configuration a test may change."""
    with local_postgres() as server:
        yield server


@pytest.fixture
def running(server: LocalServer) -> Iterator[RunningPool]:
    """Two backends."""
    reload(server, ISO)
    with running_pool(
        config_for(server, default_pool_size=2, pool_mode="transaction"), server
    ) as running:
        yield running


def reload(server: LocalServer, style: str) -> None:
    """From now on whoever sets no DateStyle has this one."""
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"alter system set datestyle = '{style}'")
        admin.execute("select pg_reload_conf()")
        for _ in range(2_000):
            with psycopg.connect(server.url()) as newcomer:
                if newcomer.execute("show datestyle").fetchall() == [(style,)]:
                    return
    raise AssertionError("the server has not read its configuration")


def in_force(client: RawClient) -> str | None:
    """Asserts that it is what the client was told."""
    # Why twice: a server reports at the end of the first command under the new configuration.
    client.rows("show datestyle")
    ((style,),) = client.rows("show datestyle")
    assert client.parameters["DateStyle"] == style
    return style


@pytest.mark.hard_case(129)
def test_what_clients_were_told_is_in_force_after_a_reload(
    server: LocalServer, running: RunningPool
) -> None:
    with (
        client_of(running) as first,
        client_of(running) as second,
        client_of(running) as silent,
        client_of(running) as own,
        client_of(running, DateStyle="SQL, DMY") as came_with_one,
    ):
        everybody = first, second, silent, own, came_with_one
        own.ask(query("set datestyle = 'Postgres, YMD'"))
        assert in_force(first) == in_force(second) == ISO
        reload(server, GERMAN)

        assert in_force(first) == GERMAN
        assert in_force(second) == GERMAN
        # A backend that has logged in since.
        first.ask(query("begin"))
        assert in_force(silent) == GERMAN
        assert in_force(own) == "Postgres, YMD"
        assert in_force(came_with_one) == "SQL, DMY"
        first.ask(query("commit"))

        with client_of(running) as late:
            assert late.parameters["DateStyle"] == GERMAN
            for client in (*everybody, late, *everybody):
                in_force(client)
            late.ask(once("set work_mem = '5MB'") + SYNC)
            own.ask(query("reset datestyle"))
            came_with_one.ask(query("set datestyle = german; set work_mem = '6MB'; reset all"))
            assert in_force(own) == GERMAN
            assert in_force(came_with_one) == "SQL, DMY"
            reload(server, ISO)
            for client in (late, *everybody, late, *everybody):
                in_force(client)
            for client in (*everybody, late):
                client.ask(query("reset datestyle"))
            for client in (first, second, silent, own, late):
                assert in_force(client) == ISO


@pytest.mark.hard_case(129)
@pytest.mark.parametrize(
    "said",
    [
        "discard all",
        "reset all",
        "set work_mem = '7MB'",
        "select set_config('work_mem', '8MB', false)",
        "do $$ begin perform set_config('datestyle', 'SQL', false); end $$",
    ],
)
def test_the_first_thing_said_after_a_reload_hides_it_from_nobody(
    server: LocalServer, running: RunningPool, said: str
) -> None:
    with client_of(running) as first, client_of(running) as second:
        assert in_force(first) == in_force(second) == ISO
        reload(server, GERMAN)

        first.ask(query(said))
        for client in (second, first, second, first):
            in_force(client)
        second.ask(once(said) + SYNC)
        for client in (first, second, first, second):
            in_force(client)
