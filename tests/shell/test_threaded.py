"""A pool in a thread: it serves the thread that asked, and its failures come back to it."""

from __future__ import annotations

import socket
import threading

import attrs
import psycopg
import pytest

from protocol import frontend, startup
from tests.support.pooler import config_for
from tests.support.raw import RawClient
from trio_pool.config import settings_from
from trio_pool.embedded import LocalServer
from trio_pool.server import Serving
from trio_pool.threaded import pool_in_thread

pytestmark = pytest.mark.postgres


def tcp_address(serving: Serving) -> tuple[str, int]:
    return next(address for address in serving.addresses if isinstance(address, tuple))


def url_at(port: int, postgres: LocalServer) -> str:
    return postgres.url().replace(f":{postgres.port}/", f":{port}/")


def test_blocking_code_uses_the_pool_and_nothing_of_it_stays(postgres: LocalServer) -> None:
    with pool_in_thread(config_for(postgres)) as serving:
        host, port = tcp_address(serving)
        with psycopg.connect(url_at(port, postgres)) as client:
            assert client.execute("select 6 * 7").fetchone() == (42,)

    assert "trio-pool" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


def test_a_client_that_is_still_there_does_not_hold_the_end_up(postgres: LocalServer) -> None:
    with pool_in_thread(config_for(postgres)) as serving:
        _, port = tcp_address(serving)
        client = psycopg.connect(url_at(port, postgres))
        client.execute("select 1")

    with client, pytest.raises(psycopg.OperationalError):
        client.execute("select 1")


def test_what_keeps_a_pool_from_starting_is_raised_where_it_was_asked_for(
    postgres: LocalServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = settings_from(listen_addr="127.0.0.1", listen_port=holder.getsockname()[1])
        config = attrs.evolve(config_for(postgres), settings=taken)

        with pytest.raises(BaseException) as failure, pool_in_thread(config):
            pass

    assert "in use" in repr(failure.value)


def test_a_cancel_request_is_carried_out_though_the_pool_is_stopped(postgres: LocalServer) -> None:
    mark = "a pool that stops"
    running = "select count(*) from pg_stat_activity where query like %s and state = 'active'"
    with psycopg.connect(postgres.url(), autocommit=True) as watcher:
        with pool_in_thread(config_for(postgres)) as serving:
            address = tcp_address(serving)
            client = RawClient(address, user=postgres.user, password=postgres.password)
            with socket.create_connection(address) as other:
                client.send(frontend.query(f"/* {mark} */ select pg_sleep(60)".encode()))
                while watcher.execute(running, (f"/* {mark}%",)).fetchone() != (1,):
                    pass
                other.sendall(startup.cancel_request(client.pid, client.key))
                # It has been read when the next client is served.
                RawClient(address, user=postgres.user, password=postgres.password).close()
        client.close()

        turns = 0
        while watcher.execute(running, (f"/* {mark}%",)).fetchone() != (0,):
            watcher.execute("select pg_sleep(0.05)")
            turns += 1
            assert turns < 200, "the query goes on"
