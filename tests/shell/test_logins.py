"""Logins: each client is told once, in time, and whoever leaves in the middle is forgotten."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
import trio

from protocol import frontend, startup
from protocol.errors import ServerRefused
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, client_of, config_for, running_pool
from trio_pool.config import Database
from trio_pool.embedded import LocalServer
from trio_pool.login import Login
from trio_pool.session import Session

pytestmark = pytest.mark.postgres

READ_SECONDS = 10.0
PATIENCE_SECONDS = 60.0


def said_to(running: RunningPool, *packets: bytes) -> bytes:
    """Everything a stranger is told who sends these packets and waits."""
    said = b""
    with socket.create_connection((running.host, running.port), READ_SECONDS) as stranger:
        for packet in packets:
            stranger.sendall(packet)
        while more := stranger.recv(65536):
            said += more
    return said


def eventually(running: RunningPool, holds: Callable[[], bool]) -> None:
    """Look again and again, a round trip to the pool's thread apart."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        running.serving.run(trio.lowlevel.checkpoint)


@pytest.mark.parametrize(
    "packets",
    [(), (b"\0\0",), (startup.ssl_request(),), (startup.startup_message([(b"user", b"x")]),)],
    ids=["nothing", "half a length", "only a request for TLS", "no password"],
)
def test_who_takes_too_long_is_told_so(packets: tuple[bytes, ...], pool: StartPool) -> None:
    said = said_to(pool(client_login_timeout=0.2), *packets)

    assert said.count(b"\0VFATAL\0") == 1
    assert b"Mclient_login_timeout\0" in said


@pytest.mark.hard_case(176)
def test_who_sends_byte_by_byte_has_no_more_time_than_others(pool: StartPool) -> None:
    running = pool(client_login_timeout=0.5)
    packet = startup.startup_message([(b"user", b"x"), (b"application_name", b"y" * 9_000)])
    said, sent = b"", 0
    with socket.create_connection((running.host, running.port)) as stranger:
        stranger.settimeout(0.05)
        while b"client_login_timeout" not in said:
            stranger.sendall(packet[sent : sent + 1])
            sent += 1
            with contextlib.suppress(TimeoutError):
                said += stranger.recv(65536)
            assert sent < len(packet), "it was let finish"

    assert said.count(b"\0VFATAL\0") == 1


def test_waiting_for_a_backend_counts_as_login_time(pool: StartPool) -> None:
    running = pool(default_pool_size=1, client_login_timeout=1.5)
    with client_of(running) as holder:
        assert holder.ask(frontend.query(b"begin"))[-1] == ("Z", "T")

        with pytest.raises(ServerRefused, match="client_login_timeout"):
            client_of(running, application_name="never tried")


@pytest.mark.hard_case(177)
def test_a_malformed_packet_is_refused_once(pool: StartPool) -> None:
    said = said_to(pool(), b"\0\0\0\x0c\0\3\0\0user")

    assert said.count(b"\0VFATAL\0") == 1


@pytest.mark.hard_case(168)
def test_a_malformed_cancel_request_is_not_answered(pool: StartPool) -> None:
    assert (
        said_to(pool(), b"\0\0\0\x0d" + startup.cancel_request(1, b"four")[4:8] + b"12345") == b""
    )


def test_who_leaves_while_its_settings_are_tried_is_forgotten(pool: StartPool) -> None:
    running = pool(default_pool_size=1, auth_type="trust")
    with client_of(running) as holder:
        assert holder.ask(frontend.query(b"begin"))[-1] == ("Z", "T")
        for number in range(3):
            leaver = socket.create_connection((running.host, running.port))
            pairs = [(b"user", running.user.encode()), (b"application_name", b"%d" % number)]
            leaver.sendall(startup.startup_message(pairs))
            leaver.close()
        holder.ask(frontend.query(b"commit"))

        assert holder.rows("select 'served'") == [("served",)]
    with client_of(running) as newcomer:
        assert newcomer.rows("select 'welcome'") == [("welcome",)]


@contextlib.contextmanager
def held_by_a_transaction(running: RunningPool) -> Iterator[str]:
    """The only backend is lent, and settings that nobody has tried have to wait for it."""
    with client_of(running) as holder:
        assert holder.ask(frontend.query(b"begin"))[-1] == ("Z", "T")
        yield running.database


@contextlib.contextmanager
def held_by_a_silent_server(running: RunningPool) -> Iterator[str]:
    """The first backend is being opened, for ever."""
    yield "silent"


@contextlib.contextmanager
def held_by_an_operator(running: RunningPool) -> Iterator[str]:
    """PAUSE: no backend is opened or lent."""
    running.serving.run(running.serving.server.operations.pause)
    yield running.database


@pytest.mark.parametrize(
    "held", [held_by_a_transaction, held_by_a_silent_server, held_by_an_operator]
)
def test_who_leaves_while_its_login_waits_is_missed_at_once(
    held: Callable[[RunningPool], AbstractContextManager[str]], pool: StartPool
) -> None:
    """Not only at client_login_timeout; until then it would keep its place in the queue."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port: int = silent.getsockname()[1]
        nowhere = Database(name="silent", host="127.0.0.1", port=port, dbname="silent")
        running = pool(
            default_pool_size=1,
            auth_type="trust",
            client_login_timeout=0,
            query_wait_timeout=0,
            databases={"silent": nowhere},
        )
        server = running.serving.server
        with held(running) as database:
            leaver = socket.create_connection((running.host, running.port))
            pairs = [("user", running.user), ("database", database), ("application_name", "new")]
            leaver.sendall(startup.startup_message([(n.encode(), v.encode()) for n, v in pairs]))
            eventually(running, lambda: any(pool.waiting for pool in server.pools.values()))
            assert len(server.lobby) == 1

            leaver.close()

            eventually(running, lambda: not len(server.lobby))
            eventually(running, lambda: not any(pool.waiting for pool in server.pools.values()))


def test_what_is_said_while_a_login_waits_is_kept_in_bounds_and_carried_out(
    pool: StartPool,
) -> None:
    running = pool(default_pool_size=1, auth_type="trust")
    pairs = [("user", running.user), ("database", running.database), ("search_path", "new")]
    packet = startup.startup_message([(name.encode(), value.encode()) for name, value in pairs])
    query = frontend.query(b"select length('%s')" % (b"x" * 20_000_000))
    with (
        client_of(running) as holder,
        ThreadPoolExecutor(1) as thread,
        socket.create_connection((running.host, running.port), PATIENCE_SECONDS) as hasty,
    ):
        assert holder.ask(frontend.query(b"begin"))[-1] == ("Z", "T")
        sent = thread.submit(hasty.sendall, packet + query + frontend.terminate())
        (login,) = running.serving.run(partial(the_logins, running))
        eventually(running, lambda: not login.wire.reading)
        assert len(login.received) < 1_000_000

        holder.ask(frontend.query(b"commit"))

        sent.result()
        said = b"".join(iter(partial(hasty.recv, 65536), b""))
        assert b"20000000" in said


async def the_logins(running: RunningPool) -> list[Login]:
    """Those that are there, once there are any."""
    while not (found := list(running.serving.server.lobby)):
        await trio.lowlevel.checkpoint()
    return found


def test_what_is_sent_behind_the_startup_packet_is_carried_out(pool: StartPool) -> None:
    running = pool(auth_type="trust")
    pairs = [(b"user", running.user.encode()), (b"database", running.database.encode())]

    said = said_to(
        running,
        startup.ssl_request()
        + startup.startup_message(pairs)
        + frontend.query(b"select 'at once'")
        + frontend.terminate(),
    )

    assert said.startswith(b"NR\0\0\0\x08\0\0\0\0")
    assert b"at once" in said


def test_every_short_visit_is_logged_from_beginning_to_end(
    postgres: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = config_for(postgres, pool_mode="transaction")
    with running_pool(config, postgres) as running:
        for _ in range(5):
            with client_of(running) as visitor:
                visitor.rows("select 1")
        with client_of(running) as leaver:
            leaver.send(frontend.query(b"select 1") + frontend.terminate())
            assert leaver.receive_until_quiet()

    assert caplog.text.count("client connected session=") == 6
    for number in range(1, 7):
        assert f"client disconnected session={number} reason='client left'" in caplog.text


def test_who_has_just_come_is_told_why_it_ends(pool: StartPool) -> None:
    running = pool(auth_type="trust")
    pairs = [(b"user", running.user.encode()), (b"database", running.database.encode())]

    said = said_to(running, startup.startup_message(pairs) + b"z\0\0\0\4")

    assert b"\0C08P01\0" in said


@pytest.mark.hard_case(200)
def test_no_room_for_sockets_passes(
    pool: StartPool, few_descriptors: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool serves those it has, and takes clients again once others have left."""
    running = pool(auth_type="trust")
    with client_of(running) as early:
        # Made first, they leave the pool too few to take in all of them.
        strangers = [socket.socket() for _ in range(50)]
        for stranger in strangers:
            stranger.connect((running.host, running.port))
            stranger.sendall(b"\0")

        # The pool takes in a few at a time, between which it serves.
        for _ in range(10_000):
            assert early.rows("select 'served'") == [("served",)]
            if "cannot accept clients for now" in caplog.text:
                break
        for stranger in strangers:
            stranger.close()

    with client_of(running) as late:
        assert late.rows("select 'served'") == [("served",)]
    assert "cannot accept clients for now" in caplog.text


@pytest.fixture
def few_descriptors(postgres: LocalServer) -> Iterator[None]:
    """This process, which the pool shares, may open few more descriptors."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("open descriptors are counted in /proc")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 80, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_have_left_need_no_collector(postgres: LocalServer) -> None:
    """A full collection looks at every client there is: no cycle of ours may make it due."""
    gc.collect()
    gc.disable()
    try:
        with running_pool(config_for(postgres, pool_mode="transaction"), postgres) as running:
            for _ in range(3):
                with client_of(running, application_name="leaver") as leaver:
                    leaver.rows("select 1")
            said_to(running, startup.startup_message([(b"user", b"")]))
            stranger = socket.create_connection((running.host, running.port))
            stranger.close()

        left = [type(one).__name__ for one in gc.get_objects() if isinstance(one, Session | Login)]
    finally:
        gc.enable()

    assert left == []
