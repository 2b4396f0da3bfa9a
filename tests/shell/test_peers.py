"""Two pools on one port: every cancel request finds its own query, whichever pool it reaches."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import frontend, startup
from tests.support.console import Operated, serving
from tests.support.raw import RawClient
from trio_pool.conform.replies import field
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

CANCELS = 1_000
CLIENTS = 8
SLEEP = frontend.query(b"select pg_sleep(60)")


@pytest.fixture
def group(tmp_path: Path, postgres: LocalServer) -> Iterator[list[Operated]]:
    """Two members of a group, on one port that is kept free for them."""
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(socket.socket())
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        port = keeper.getsockname()[1]
        places = {"1": tmp_path / "first", "2": tmp_path / "second"}
        members = []
        for number, place in places.items():
            place.mkdir()
            member = Operated(place, postgres)
            member.peers = {n: f"host={path} port={port}" for n, path in places.items()}
            member.settings |= {
                "so_reuseport": "1",
                "listen_port": str(port),
                "peer_id": number,
                "unix_socket_dir": str(place),
                "default_pool_size": str(CLIENTS),
            }
            members.append(stack.enter_context(serving(member)))
        yield members


def address(member: Operated) -> tuple[str, int]:
    assert member.serving is not None
    return next(a for a in member.serving.addresses if isinstance(a, tuple))


@pytest.mark.slow
def test_each_cancel_hits_its_own_query_and_none_anothers(group: list[Operated]) -> None:
    server = group[0].postgres
    choice = random.Random(5)
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                RawClient(address(group[0]), user=server.user, password=server.password)
            )
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.send(SLEEP)
        for _ in range(CANCELS):
            client = choice.choice(clients)
            # Until its own cancel request is sent, a query sleeps.
            assert [r for r in client.receive_until_quiet(0.001) if r[0] != "T"] == []
            client.cancel()
            *_, error, ready = client.receive()
            assert (field(error, "C"), ready) == ("57014", ("Z", "I"))
            client.send(SLEEP)
        seated = [len(member.serving.server.sessions) for member in group if member.serving]
        for client in clients:
            client.cancel()
            client.receive()

    assert sum(seated) == CLIENTS
    assert all(seated), "the kernel gave every client to one process"


def test_a_peer_that_is_not_there_harms_nobody(
    tmp_path: Path, postgres: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    member = Operated(tmp_path, postgres)
    member.settings |= {"peer_id": "1"}
    member.peers = {"2": "host=/nowhere/at/all"}
    with serving(member), member.client() as client:
        with socket.create_connection(address(member), timeout=20) as stranger:
            stranger.sendall(startup.cancel_request(2 << 17 | 5, b"1234"))
            assert stranger.recv(1) == b""

        assert "cannot pass a cancel request on to peer 2" in caplog.text
        assert client.execute("select 1").fetchone() == (1,)
        assert member.show("PEERS")[0]["host"] == "/nowhere/at/all"
