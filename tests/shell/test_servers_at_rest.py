"""What a server says and does while none of its backends is asked anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from protocol import frontend
from tests.support.pooler import RunningPool, client_of, config_for, running_pool
from trio_pool.conform.replies import letters
from trio_pool.embedded import LocalServer, local_postgres

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS = 60.0


@pytest.fixture
def own() -> Iterator[LocalServer]:
    """A server that may be changed, and ended."""
    with local_postgres(settings={"max_connections": 20}) as server:
        yield server


@pytest.fixture
def running(own: LocalServer) -> Iterator[RunningPool]:
    config = config_for(
        own,
        pool_mode="transaction",
        default_pool_size=2,
        pin_policy="listen:warn",
        server_login_retry=1,
    )
    with running_pool(config, own) as running:
        yield running


def until(true: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not true():
        assert monotonic() < deadline


def pids_of(running: RunningPool) -> set[int]:
    """The process numbers of the backends that the pool has."""
    pools = list(running.serving.server.pools.values())
    return {backend.pid for pool in pools for backend in list(pool.backends)}


@pytest.mark.hard_case(152)
def test_an_idle_backend_that_hears_a_notification_of_nobodys_is_not_lent_again(
    running: RunningPool, own: LocalServer
) -> None:
    with client_of(running) as client, psycopg.connect(own.url(), autocommit=True) as root:
        # Only a warning: the backend goes back, and listens.
        client.ask(frontend.query(b"listen everybody"))
        listening = pids_of(running)
        root.execute("notify everybody, 'secret'")
        until(lambda: not listening & pids_of(running))

        assert letters(client.ask(frontend.query(b"select 'served'"))) == "T D C Z"


@pytest.mark.hard_case(154)
def test_a_server_that_shuts_down_smartly_serves_those_who_are_there_to_the_end(
    running: RunningPool, own: LocalServer
) -> None:
    with client_of(running) as first, client_of(running) as second:
        first.ask(frontend.query(b"begin"))
        ((directory,),) = first.rows("show data_directory")
        postmaster = Path(str(directory)) / "postmaster.pid"
        os.kill(int(postmaster.read_text().splitlines()[0]), signal.SIGTERM)
        until(lambda: "stopping" in postmaster.read_text())

        # No second backend is to be had any more (57P03): this one waits for the first.
        second.send(frontend.query(b"select 'served'"))
        assert first.rows("select 'well'") == [("well",)]
        assert first.ask(frontend.query(b"commit"))[-1] == ("Z", "I")
        assert ("D", b"served") in second.receive()
        assert first.rows("select 'still here'") == [("still here",)]
