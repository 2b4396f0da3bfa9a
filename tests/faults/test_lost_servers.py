"""PostgreSQL loses a process, or has no room: who was in the middle is told, the others wait."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from protocol import frontend
from tests.support.pooler import RunningPool, client_of, config_for, running_pool
from tests.support.raw import RawClient
from trio_pool.conform.replies import CLOSED, Reply, field
from trio_pool.embedded import LocalServer, local_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def own() -> Iterator[LocalServer]:
    """A server that may be harmed; it has room for few."""
    with local_postgres(settings={"max_connections": 12}) as server:
        yield server


@pytest.fixture
def running(own: LocalServer) -> Iterator[RunningPool]:
    config = config_for(own, pool_mode="transaction", default_pool_size=3, server_login_retry=1)
    with running_pool(config, own) as running:
        yield running


def pid_of(client: RawClient) -> int:
    return int(client.rows("select pg_backend_pid()")[0][0] or 0)


def backends_of(running: RunningPool) -> set[int]:
    """The process numbers of the backends that the pool has."""
    pools = list(running.serving.server.pools.values())
    return {backend.pid for pool in pools for backend in list(pool.backends)}


def endings(replies: list[Reply]) -> list[str | None]:
    """The SQLSTATEs of the FATAL messages; the connection is closed behind them."""
    assert replies[-1] == CLOSED
    return [field(r, "C") for r in replies if r[0] == "E" and field(r, "V") == "FATAL"]


def test_an_idle_backend_that_is_ended_is_missed_by_nobody(
    running: RunningPool, own: LocalServer
) -> None:
    with client_of(running) as client, psycopg.connect(own.url(), autocommit=True) as root:
        for _ in range(5):
            pid = pid_of(client)
            root.execute("select pg_terminate_backend(%s, 30000)", [pid])
            deadline = time.monotonic() + PATIENCE_SECONDS
            while pid in backends_of(running):
                assert time.monotonic() < deadline
            assert client.rows("select 'served'") == [("served",)]


def test_a_backend_that_is_ended_in_a_transaction_ends_one_client_once(
    running: RunningPool, own: LocalServer
) -> None:
    with client_of(running) as victim, client_of(running) as other:
        victim.ask(frontend.query(b"begin"))
        other.ask(frontend.query(b"begin"))
        with psycopg.connect(own.url(), autocommit=True) as root:
            root.execute("select pg_terminate_backend(%s)", [pid_of(victim)])

        # The server's own words, as without a pool.
        assert endings(victim.receive("closed")) == ["57P01"]
        assert other.rows("select 'well'") == [("well",)]
        assert other.ask(frontend.query(b"commit"))[-1] == ("Z", "I")


@pytest.mark.hard_case(153)
def test_a_crash_ends_those_in_transactions_and_the_others_wait_for_the_recovery(
    running: RunningPool,
) -> None:
    with client_of(running) as victim, client_of(running) as other, client_of(running) as idle:
        idle.ask(frontend.parse(b"s", b"select 'served'") + frontend.sync())
        victim.ask(frontend.query(b"begin"))
        other.ask(frontend.query(b"begin"))
        os.kill(pid_of(victim), signal.SIGKILL)

        # The one that was killed said nothing; the others say 57P02 as a warning, then nothing.
        assert endings(victim.receive("closed")) == ["08006"]
        assert endings(other.receive("closed")) == ["08006"]
        bound = frontend.bind(b"", b"s") + frontend.execute() + frontend.sync()
        # While it recovers (57P03) new backends are refused, and this one waits.
        assert ("D", b"served") in idle.ask(bound)
        with client_of(running) as newcomer:
            assert newcomer.rows("select 'welcome'") == [("welcome",)]


@pytest.mark.hard_case(158)
def test_a_server_without_room_makes_clients_wait(running: RunningPool, own: LocalServer) -> None:
    """53300 passes: whoever waits is served when there is room again."""
    crowd: list[psycopg.Connection] = []
    with client_of(running) as client:
        client.ask(frontend.query(b"begin"))
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            while len(crowd) < 50:
                crowd.append(psycopg.connect(own.url()))
        with client_of(running) as waiting:
            waiting.send(frontend.query(b"select 'served'"))
            assert client.rows("select 'well'") == [("well",)]
            for one in crowd:
                one.close()

            assert ("D", b"served") in waiting.receive("Z")
            client.ask(frontend.query(b"commit"))
