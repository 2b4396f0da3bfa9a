"""Which clients time ends, and which it does not."""

from __future__ import annotations

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.conform.replies import field


def said_last(client: RawClient) -> str:
    """The message of the error that ends the connection."""
    return str(field(client.receive(until="E")[-1], "M"))


def test_a_long_transaction_that_is_busy_is_not_idle(pool: StartPool) -> None:
    running = pool(idle_transaction_timeout=0.5)

    with client_of(running) as client:
        client.ask(frontend.query(b"begin"))
        for _ in range(4):
            assert client.rows("select 1 from pg_sleep(0.3)") == [("1",)]
        assert said_last(client) == "idle_transaction_timeout"


def test_a_query_has_its_own_time_in_a_long_transaction(pool: StartPool) -> None:
    running = pool(query_timeout=0.5)

    with client_of(running) as client:
        client.ask(frontend.query(b"begin"))
        for _ in range(4):
            assert client.rows("select 1 from pg_sleep(0.3)") == [("1",)]
        client.send(frontend.query(b"select pg_sleep(60)"))
        assert said_last(client) == "query_timeout"


def test_a_client_that_says_nothing_is_dismissed(pool: StartPool) -> None:
    running = pool(client_idle_timeout=0.2)

    with client_of(running) as client:
        assert client.rows("select 1") == [("1",)]
        assert said_last(client) == "client_idle_timeout"
