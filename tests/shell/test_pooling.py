"""What the settings of a pool do to its clients, and who gets a backend when."""

from __future__ import annotations

import os
import signal
import threading

import psycopg
import pytest
import trio

from protocol import frontend
from protocol.errors import ServerRefused
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, client_of, config_for
from tests.support.raw import RawClient
from trio_pool.embedded import LocalServer
from trio_pool.server import serve


def pid_of(client: RawClient) -> str:
    return str(client.rows("select pg_backend_pid()")[0][0])


def test_in_session_mode_a_backend_stays_and_is_reset_for_the_next_client(pool: StartPool) -> None:
    running = pool(pool_mode="session", default_pool_size=1)
    with client_of(running) as first:
        pid = pid_of(first)
        first.ask(frontend.query(b"set work_mem = '7MB'; create temp table mine (n int)"))
        assert pid_of(first) == pid
        first.say_goodbye()

    with client_of(running) as second:
        assert pid_of(second) == pid
        assert second.rows("select count(*) from pg_class where relname = 'mine'") == [("0",)]


def test_in_statement_mode_there_are_no_transaction_blocks(pool: StartPool) -> None:
    running = pool(pool_mode="statement", default_pool_size=1)

    with client_of(running) as client:
        client.ask(frontend.query(b"select 1"))
        client.send(frontend.query(b"begin"))
        replies = client.receive_until_quiet()

    assert ("C", "25001") in replies[-2]
    with client_of(running) as other:
        assert other.rows("select 1") == [("1",)]


def test_who_waits_too_long_is_told_so(pool: StartPool) -> None:
    running = pool(default_pool_size=1, query_wait_timeout=0.2)

    with client_of(running) as holder, client_of(running) as waiter:
        holder.ask(frontend.query(b"begin"))
        waiter.send(frontend.query(b"select 1"))
        replies = waiter.receive("E")

        assert ("C", "53300") in replies[0]
        assert ("M", "query_wait_timeout") in replies[0]


def test_the_reserve_serves_who_has_waited_long_enough(pool: StartPool) -> None:
    running = pool(default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout=0.1)

    with client_of(running) as holder, client_of(running) as waiter:
        holder.ask(frontend.query(b"begin"))

        assert waiter.rows("select 1") == [("1",)]


def test_more_clients_than_allowed_are_refused(pool: StartPool) -> None:
    running = pool(max_client_conn=1)

    with (
        client_of(running),
        pytest.raises(psycopg.OperationalError, match="max_client_conn"),
    ):
        psycopg.connect(running.url())


def test_backends_of_a_database_are_limited_over_its_users(pool: StartPool) -> None:
    running = pool(default_pool_size=5, max_db_connections=1, query_wait_timeout=0.2)

    with client_of(running) as holder, client_of(running) as waiter:
        holder.ask(frontend.query(b"begin"))
        waiter.send(frontend.query(b"select 1"))

        assert ("C", "53300") in waiter.receive("E")[0]


def test_clients_are_served_in_the_order_they_came(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as holder:
        holder.ask(frontend.query(b"create table if not exists queue (n serial, who int)"))
        holder.ask(frontend.query(b"truncate queue restart identity"))
        holder.ask(frontend.query(b"begin"))
        waiters = [client_of(running) for _ in range(5)]
        for who, waiter in enumerate(waiters):
            waiter.send(frontend.query(f"insert into queue (who) values ({who})".encode()))
            _until_waiting(running, who + 1)
        holder.ask(frontend.query(b"commit"))
        for waiter in waiters:
            waiter.receive()
            waiter.say_goodbye()

        assert [int(row[0] or "") for row in holder.rows("select who from queue order by n")] == [
            0,
            1,
            2,
            3,
            4,
        ]


def _until_waiting(running: RunningPool, count: int) -> None:
    pool = next(iter(running.serving.server.pools.values()))
    while len(pool.waiting) < count:
        threading.Event().wait(0.005)


def _until_busy(postgres: LocalServer) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        asked = "select exists (select from pg_stat_activity where wait_event = 'PgSleep')"
        while root.execute(asked).fetchone() != (True,):
            threading.Event().wait(0.005)


def test_an_old_backend_is_replaced(pool: StartPool) -> None:
    running = pool(default_pool_size=1, server_lifetime=0.1)
    with client_of(running) as client:
        first = pid_of(client)
        while pid_of(client) == first:
            threading.Event().wait(0.02)


def test_a_wrong_password_is_refused_as_by_the_server(pool: StartPool) -> None:
    running = pool()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url(password="wrong"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url(user="nobody_we_know"))


def test_an_unknown_database_is_refused_in_the_servers_words(pool: StartPool) -> None:
    running = pool()

    with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
        psycopg.connect(running.url(database="nowhere"))


def test_a_bad_startup_parameter_is_refused_in_the_servers_words(pool: StartPool) -> None:
    running = pool()

    with pytest.raises(psycopg.OperationalError, match="invalid value for parameter"):
        psycopg.connect(running.url(), options="-c work_mem=plenty")


@pytest.mark.hard_case(162, 163)
def test_a_cancel_never_reaches_the_next_borrower(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    stop = threading.Event()
    hurt: list[BaseException] = []

    def bystander() -> None:
        try:
            with psycopg.connect(running.url(), autocommit=True) as client:
                while not stop.is_set():
                    client.execute("select pg_sleep(0.001)")
        except psycopg.Error as error:
            hurt.append(error)

    thread = threading.Thread(target=bystander)
    thread.start()
    with client_of(running) as impatient:
        for _ in range(150):
            impatient.send(frontend.query(b"select 1"))
            impatient.cancel()
            impatient.receive()
    stop.set()
    thread.join()

    assert hurt == []


def test_a_cancel_ends_the_query_it_was_meant_for(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.send(frontend.query(b"select pg_sleep(60)"))
        # A cancel that comes before its query does nothing, here as at a server.
        answered = threading.Event()

        def insist() -> None:
            while not answered.wait(0.05):
                client.cancel()

        thread = threading.Thread(target=insist)
        thread.start()
        other.send(frontend.query(b"select 2"))
        replies = client.receive()
        answered.set()
        thread.join()

        assert any(("C", "57014") in reply for reply in replies)
        assert other.receive()[-1] == ("Z", "I")


def test_a_cancel_that_came_before_the_server_had_read_the_query_is_said_again(
    pool: StartPool,
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client:
        server_process = int(pid_of(client))
        os.kill(server_process, signal.SIGSTOP)
        try:
            client.send(frontend.query(b"select pg_sleep(60)"))
            client.cancel()
        finally:
            # The signal is delivered first, to a server that waits for a query, and is lost.
            os.kill(server_process, signal.SIGCONT)
        replies = client.receive()

        assert any(("C", "57014") in reply for reply in replies)
        assert client.rows("select 1") == [("1",)]


@pytest.mark.hard_case(164)
def test_a_waiting_query_can_be_cancelled(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as holder, client_of(running) as waiter:
        holder.ask(frontend.query(b"begin"))
        waiter.send(frontend.query(b"select 1"))
        _until_waiting(running, 1)
        waiter.cancel()
        replies = waiter.receive()

        assert ("C", "57014") in replies[0]
        assert replies[-1] == ("Z", "I")
        holder.ask(frontend.query(b"commit"))
        assert waiter.rows("select 3") == [("3",)]


@pytest.mark.hard_case(169)
def test_a_cancel_request_needs_no_place_among_the_clients_nor_a_backend(
    pool: StartPool, postgres: LocalServer
) -> None:
    running = pool(default_pool_size=1, max_client_conn=2)
    with client_of(running) as busy, client_of(running) as waiter:
        busy.send(frontend.query(b"select pg_sleep(600)"))
        _until_busy(postgres)
        waiter.send(frontend.query(b"select 2"))
        _until_waiting(running, 1)
        with pytest.raises(ServerRefused, match="max_client_conn"):
            client_of(running)

        busy.cancel()

        assert any(("C", "57014") in reply for reply in busy.receive())
        assert ("D", b"2") in waiter.receive()


async def test_when_the_pool_stops_a_transaction_is_finished_first(postgres: LocalServer) -> None:
    config = config_for(postgres, pool_mode="transaction", default_pool_size=1)
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(serve, config)
        (address,) = serving.addresses

        def log_in() -> RawClient:
            return RawClient(address, user=postgres.user, password=postgres.password)

        busy = await trio.to_thread.run_sync(log_in)
        idle = await trio.to_thread.run_sync(log_in)
        await trio.to_thread.run_sync(busy.ask, frontend.query(b"begin"))
        serving.stop()
        told = await trio.to_thread.run_sync(idle.receive_until_quiet)
        replies = await trio.to_thread.run_sync(busy.ask, frontend.query(b"commit"))
        last = await trio.to_thread.run_sync(busy.receive_until_quiet)
        for client in (busy, idle):
            client.close()

    assert ("C", "57P01") in told[0]
    assert ("C", "COMMIT") in replies
    assert ("C", "57P01") in last[0]
