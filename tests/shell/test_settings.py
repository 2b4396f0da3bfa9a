"""Settings on a running pool: each is given a value, and somebody notices."""

from __future__ import annotations

import gc
import grp
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from protocol import frontend
from tests.support.console import STRANGER, Operated, serving
from tests.support.raw import RawClient
from trio_pool.conform.replies import field
from trio_pool.embedded import LocalServer
from trio_pool.wire import plain_of

pytestmark = pytest.mark.postgres

Serve = Callable[..., Operated]


@pytest.fixture
def served(tmp_path: Path, postgres: LocalServer) -> Iterator[Serve]:
    """Starts a pool with these settings, in front of the test server."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def start(
            databases: dict[str, str] | None = None,
            users: dict[str, str] | None = None,
            **settings: str | float,
        ) -> Operated:
            operated = Operated(tmp_path, postgres)
            operated.settings |= {name: str(value) for name, value in settings.items()}
            for name, line in (databases or {}).items():
                operated.databases[name] = f"{operated.databases['*']} dbname=postgres {line}"
            operated.users |= users or {}
            return stack.enter_context(serving(operated))

        yield start


def raw(operated: Operated) -> RawClient:
    server = operated.postgres
    return RawClient(address(operated), user=server.user, password=server.password)


def address(operated: Operated) -> tuple[str, int]:
    assert operated.serving is not None
    return next(a for a in operated.serving.addresses if isinstance(a, tuple))


def eventually(operated: Operated, holds: Callable[[], bool]) -> None:
    """Look again and again, a round trip to the console apart."""
    for _ in range(2_000):
        if holds():
            return
        operated.show("VERSION")
    pytest.fail("it never came true")


# Clients.


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"max_db_client_connections": 1}, ""),
        ({}, "max_db_client_connections=1"),
    ],
)
def test_a_database_has_no_more_clients_than_it_may(
    served: Serve, settings: dict[str, float], line: str
) -> None:
    running = served(databases={"shop": line}, **settings)
    with running.client("shop"):
        with pytest.raises(psycopg.OperationalError, match=r"\(max_db_client_connections\)"):
            running.client("shop")
        assert running.row("DATABASES", name="shop")["max_client_connections"] == 1
    eventually(running, lambda: not running.show("CLIENTS"))
    running.client("shop").close()


@pytest.mark.parametrize(
    ("settings", "users"),
    [
        ({"max_user_client_connections": 1}, {}),
        ({}, {"postgres": "max_user_client_connections=1"}),
    ],
)
def test_a_user_has_no_more_clients_than_it_may(
    served: Serve, settings: dict[str, float], users: dict[str, str]
) -> None:
    running = served(users=users, **settings)
    with running.client(), pytest.raises(psycopg.OperationalError) as refused:
        running.client()

    assert "(max_user_client_connections)" in str(refused.value)


def test_application_name_add_host_says_where_a_client_is(served: Serve) -> None:
    running = served(application_name_add_host=1)
    url = running.url("postgres") + "&application_name=till"
    with psycopg.connect(url, autocommit=True) as client:
        (shown,) = client.execute("show application_name").fetchall()

    assert shown[0].startswith("till - 127.0.0.1:")


def test_a_client_that_waits_for_long_is_told(served: Serve) -> None:
    running = served(query_wait_notify=0.2, default_pool_size=1)
    with running.client() as holder, raw(running) as waiting:
        holder.execute("begin")
        waiting.send(frontend.query(b"select 5"))
        (notice,) = waiting.receive("N")
        holder.execute("commit")

        assert "client being queued" in str(field(notice, "M"))
        assert ("D", b"5") in waiting.receive()


@pytest.mark.parametrize(
    ("settings", "users"),
    [({"transaction_timeout": 0.3}, {}), ({}, {"postgres": "transaction_timeout=0.3"})],
)
def test_a_transaction_lasts_no_longer_than_it_may(
    served: Serve, settings: dict[str, float], users: dict[str, str]
) -> None:
    running = served(users=users, **settings)
    with running.client() as client:
        client.execute("select 1")
        client.execute("begin")
        with pytest.raises(psycopg.Error, match="transaction_timeout"):
            client.execute("select pg_sleep(2)")


# Servers.


def test_a_backend_that_does_not_answer_the_check_is_replaced(served: Serve) -> None:
    running = served(server_check_delay=0, server_check_query="select no_such_column")
    with running.client() as client:
        first = client.execute("select pg_backend_pid()").fetchone()
        eventually(running, lambda: running.row("SERVERS")["state"] == "used")

        assert client.execute("select pg_backend_pid()").fetchone() != first


@pytest.mark.parametrize("query", ["<empty>", "select 1"])
def test_a_backend_that_answers_the_check_serves_on(served: Serve, query: str) -> None:
    running = served(server_check_delay=0, server_check_query=query)
    with running.client() as client:
        first = client.execute("select pg_backend_pid()").fetchone()
        eventually(running, lambda: running.row("SERVERS")["state"] == "used")

        assert client.execute("select pg_backend_pid()").fetchone() == first


def test_no_check_query_means_no_check(served: Serve) -> None:
    running = served(server_check_delay=0, server_check_query="")
    with running.client() as client:
        client.execute("select 1")
        for _ in range(20):
            assert running.row("SERVERS")["state"] == "idle"


@pytest.mark.parametrize(("mode", "hosts"), [("round-robin", 2), ("disable", 1)])
def test_several_hosts_are_used_in_turn_or_in_order(served: Serve, mode: str, hosts: int) -> None:
    running = served(databases={"shop": f"host=127.0.0.1,localhost load_balance_hosts={mode}"})
    with running.client("shop") as one, running.client("shop") as other:
        one.execute("begin")
        other.execute("begin")
        assert running.serving is not None
        (pool,) = running.serving.server.pools.values()

        assert len({backend.address for backend in pool.backends}) == hosts
        assert running.row("POOLS", database="shop")["load_balance_hosts"] == mode


def test_a_host_that_does_not_answer_is_passed_over(served: Serve) -> None:
    running = served(databases={"shop": "host=/nowhere/at/all,127.0.0.1"})
    with running.client("shop") as client:
        assert client.execute("select 1").fetchone() == (1,)


def test_server_fast_close_does_not_wait_for_a_session_to_end(served: Serve) -> None:
    running = served(server_fast_close=1, pool_mode="session")
    with running.client() as client:
        client.execute("select 1")
        running.tell("RECONNECT")
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 2")


def test_a_database_of_the_fallback_is_forgotten_when_nobody_uses_it(served: Serve) -> None:
    running = served(autodb_idle_timeout=0.1, server_idle_timeout=0.1)
    with running.client("template1") as client:
        client.execute("select 1")
        assert running.row("POOLS", database="template1")
    eventually(
        running, lambda: "template1" not in {row["name"] for row in running.show("DATABASES")}
    )


# The system.


def test_tcp_options_reach_both_sides(served: Serve) -> None:
    running = served(
        tcp_keepalive=1, tcp_keepcnt=4, tcp_keepidle=77, tcp_keepintvl=9, tcp_user_timeout=12345
    )
    with running.client() as client:
        client.execute("select 1")
        assert running.serving is not None
        server = running.serving.server
        (session,) = server.sessions.values()
        (pool,) = server.pools.values()
        (backend,) = pool.backends
        for wire in (session.wire, backend.wire):
            found = [
                plain_of(wire.sock).getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    *(socket.TCP_KEEPCNT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL),
                    socket.TCP_USER_TIMEOUT,
                )
            ]
            assert found == [4, 77, 9, 12345]


def test_an_option_that_the_system_refuses_keeps_no_socket(served: Serve) -> None:
    """A leak is seen by the interpreter (ResourceWarning), which fails the test."""
    running = served(query_wait_timeout=0.5, server_login_retry=0.1)
    # Limit: the system counts to 127 (tcp(7)).
    assert running.tell("SET tcp_keepcnt = 1000") == "SET tcp_keepcnt=1000"
    with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
        running.client()
    gc.collect()

    running.tell("SET tcp_keepcnt = 0")
    running.tell("SET query_wait_timeout = 60")
    with running.client() as client:
        assert client.execute("select 1").fetchone() == (1,)


def test_keepalive_may_be_turned_off(served: Serve) -> None:
    running = served(tcp_keepalive=0, tcp_socket_buffer=65_536)
    with running.client() as client:
        client.execute("select 1")
        assert running.serving is not None
        (session,) = running.serving.server.sessions.values()
        sock = plain_of(session.wire.sock)

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        # Linux doubles what it is asked for.
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 131_072


def test_the_unix_socket_belongs_to_its_group(served: Serve, tmp_path: Path) -> None:
    group = "daemon" if os.getuid() == 0 else grp.getgrgid(os.getgid()).gr_name
    running = served(
        unix_socket_dir=str(tmp_path), unix_socket_mode="0750", unix_socket_group=group
    )
    assert running.serving is not None
    path = Path(next(a for a in running.serving.addresses if isinstance(a, str)))

    assert grp.getgrgid(path.stat().st_gid).gr_name == group
    assert path.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("wanted", [0, 1])
def test_comings_and_goings_are_logged_when_wanted(
    served: Serve, caplog: pytest.LogCaptureFixture, wanted: int
) -> None:
    caplog.set_level(logging.INFO)
    running = served(log_connections=wanted, log_disconnections=wanted, log_pooler_errors=wanted)
    running.client().close()
    with pytest.raises(psycopg.OperationalError):
        running.client("pgbouncer", STRANGER)
    eventually(running, lambda: not running.show("CLIENTS"))
    lines = caplog.text

    for words in ("client connected", "client disconnected", "not allowed"):
        assert (words in lines) is bool(wanted)


@pytest.mark.parametrize("wanted", [0, 1])
def test_figures_are_logged_every_stats_period_when_wanted(
    served: Serve, caplog: pytest.LogCaptureFixture, wanted: int
) -> None:
    caplog.set_level(logging.INFO)
    running = served(stats_period=1, log_stats=wanted)
    with running.client() as client:
        assert running.serving is not None
        books = running.serving.server.books
        began = books.marked_at

        def two_marks() -> bool:
            client.execute("select 1")
            return books.marked_at - began > 1.5

        eventually(running, two_marks)
    average = running.row("STATS_AVERAGES", database="postgres")

    assert ("stats: " in caplog.text) is bool(wanted)
    assert average["xact_count"] > 0  # type: ignore[operator]


def test_two_pools_share_a_port(served: Serve, tmp_path: Path, postgres: LocalServer) -> None:
    first = served(so_reuseport=1)
    second = Operated(tmp_path / "second", postgres)
    second.path.mkdir()
    second.settings |= {"so_reuseport": "1", "listen_port": str(address(first)[1])}
    with serving(second):
        assert address(second) == address(first)
        assert first.serving is not None and second.serving is not None
        servers = (first.serving.server, second.serving.server)
        clients = []
        while not all(server.sessions for server in servers) and len(clients) < 200:
            clients.append(first.client())
        for client in clients:
            client.close()

        assert len(clients) < 200
