"""State of a session that cannot be replayed: its client keeps the backend, others see nothing.

Each kind of state is four texts: one leaves it in the session, one uses it, one looks whether a
client's backend has any of it, and one takes it away.
"""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import attrs
import psycopg
import pytest

from tests.drivers.asyncpg_clients import clients, play
from tests.drivers.conftest import PATIENCE_SECONDS

pytestmark = pytest.mark.drivers

WORKERS = 6  # as many as six_psycopg has
TURNS = 4

ROUTES = {
    "direct": None,
    "session": {"pool_mode": "session", "default_pool_size": WORKERS},
    "pool2": {"pool_mode": "transaction", "default_pool_size": 2},
}


@attrs.frozen
class State:
    leave: str
    use: str
    look: str
    take_away: str


STATES = {
    "temporary table": State(
        leave="create temporary table notes as select 1 as note",
        use="select note from notes",
        look="select count(*) from pg_class where oid = to_regclass('pg_temp.notes')",
        take_away="drop table notes",
    ),
    "session lock": State(
        leave="select pg_advisory_lock(4711)",
        use="select count(*) from pg_locks where pid = pg_backend_pid() and objid = 4711",
        look="select count(*) from pg_locks where pid = pg_backend_pid() and objid = 4711",
        take_away="select pg_advisory_unlock(4711)",
    ),
    "cursor with hold": State(
        leave="declare held scroll cursor with hold for select 1 from generate_series(1, 9)",
        use="fetch absolute 1 from held",
        look="select count(*) from pg_cursors where name = 'held'",
        take_away="close held",
    ),
    "listening": State(
        leave="listen news",
        use="select count(*) from pg_listening_channels()",
        look="select count(*) from pg_listening_channels()",
        take_away="unlisten news",
    ),
}


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest) -> State:
    return STATES[request.param]


@pytest.fixture(params=ROUTES)
def url(request: pytest.FixtureRequest, postgres, errands: str) -> str:
    """A pool of one cannot be among them: the keeper has the only backend."""
    settings = ROUTES[request.param]
    if settings is None:
        return postgres.url()
    return request.getfixturevalue("pool")(**settings).url()


def value(client: psycopg.Connection, query: str) -> object:
    return client.execute(query).fetchone()[0]


def test_state_stays_with_its_client_and_out_of_the_sight_of_others(
    six_psycopg, crowd, state: State
) -> None:
    keeper, *others = six_psycopg
    for client in six_psycopg:
        client.autocommit = True
    keeper.execute(state.leave)

    def errand(worker: int, turn: int) -> None:
        if worker == 0:
            assert [value(keeper, state.use) for _ in range(3)] == [1, 1, 1]
        else:
            assert value(six_psycopg[worker], state.look) == 0

    crowd(WORKERS, TURNS, errand)

    keeper.close()
    for client in others * 2:
        assert value(client, state.look) == 0


def test_a_client_without_state_any_more_lets_others_have_the_backend(pool, state: State) -> None:
    url = pool(pool_mode="transaction", default_pool_size=1, query_wait_timeout=2).url()
    with (
        psycopg.connect(url, autocommit=True) as keeper,
        psycopg.connect(url, autocommit=True) as other,
    ):
        keeper.execute(state.leave)
        assert value(keeper, state.use) == 1
        keeper.execute(state.take_away)
        assert value(other, state.look) == 0


def test_a_listener_hears_what_is_said_by_itself_and_elsewhere(url: str, errands: str) -> None:
    async def conversation(ear: asyncpg.Connection, mouth: asyncpg.Connection) -> None:
        heard: list[object] = []

        def listener(*said: object) -> None:
            heard.append(said[-1])

        async def listen() -> list[object]:
            # What was said before a query began arrives with its answer at the latest; the second
            # query lets asyncpg call its listeners.
            for _ in range(2):
                await ear.fetchval("select 1")
            return heard

        await ear.add_listener(errands, listener)
        await ear.execute(f"notify {errands}, 'by myself'")
        assert await listen() == ["by myself"]
        async with ear.transaction():
            await ear.execute("select pg_notify($1, $2)", errands, "in a transaction")
        assert await listen() == ["by myself", "in a transaction"]
        await mouth.execute(f"notify {errands}, 'elsewhere'")
        assert await listen() == ["by myself", "in a transaction", "elsewhere"]
        await ear.remove_listener(errands, listener)

    async def story() -> None:
        async with clients(url, 2) as (ear, mouth):
            await conversation(ear, mouth)

    play(story())


NEIGHBOURS = 50


def test_psycopg_hears_while_fifty_others_share_two_backends(pool, errands: str) -> None:
    url = pool(default_pool_size=2).url()
    with contextlib.ExitStack() as stack:
        listener, *others = [
            stack.enter_context(psycopg.connect(url, autocommit=True))
            for _ in range(NEIGHBOURS + 1)
        ]
        listener.execute(f"listen {errands}")
        for number, client in enumerate(others):
            client.execute("select pg_notify(%s, %s)", [errands, str(number)])
        heard = [
            note.payload
            for note in listener.notifies(timeout=PATIENCE_SECONDS, stop_after=NEIGHBOURS)
        ]
        assert heard == [str(number) for number in range(NEIGHBOURS)]
        assert value(listener, "select 1") == 1


def test_asyncpg_hears_while_fifty_others_share_two_backends(pool, errands: str) -> None:
    heard: list[object] = []

    async def story() -> None:
        async with clients(pool(default_pool_size=2).url(), NEIGHBOURS + 1) as (ear, *others):
            complete = asyncio.Event()

            def listener(*said: object) -> None:
                heard.append((said[1] == ear.get_server_pid(), said[-1]))
                if len(heard) == NEIGHBOURS + 1:
                    complete.set()

            await ear.add_listener(errands, listener)
            for number, client in enumerate(others):
                await client.execute("select pg_notify($1, $2)", errands, str(number))
            await ear.execute(f"notify {errands}, 'own'")
            await asyncio.wait_for(complete.wait(), PATIENCE_SECONDS)

    play(story())
    expected: list[object] = [(False, str(number)) for number in range(NEIGHBOURS)]
    assert heard == [*expected, (True, "own")]
