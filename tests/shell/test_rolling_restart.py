"""Processes are replaced under load, and no transaction fails: neither of clients that stay nor
of clients that connect for each.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Operated
from tests.support.load import Load
from tests.support.program import Program
from trio_pool.embedded import LocalServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
STAYING = ("-c", "4")
COMING = ("-C", "-c", "4")


def url_of(program: Program) -> str:
    server = program.operated.postgres
    return f"postgresql://{server.user}:{server.password}@127.0.0.1:{program.port}/postgres"


@pytest.fixture
def port() -> Iterator[int]:
    """One that is kept free for those who share it."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]


def member(number: int, port: int, folder: Path, postgres: LocalServer) -> Operated:
    """One of two that share a port."""
    places = {1: folder / "one", 2: folder / "two"}
    places[number].mkdir()
    described = Operated(places[number], postgres)
    described.peers = {str(n): f"host={path} port={port}" for n, path in places.items()}
    described.settings |= {
        "so_reuseport": "1",
        "listen_port": str(port),
        "peer_id": str(number),
        "unix_socket_dir": str(places[number]),
        "default_pool_size": "8",
        "log_connections": "0",
        "log_disconnections": "0",
    }
    return described


def serves_somebody(program: Program) -> None:
    """The load has reached it: a backend was opened for a client."""
    program.wait_for("backend opened")


def test_a_process_is_taken_over_under_load(tmp_path: Path, postgres: LocalServer) -> None:
    operated = Operated(tmp_path, postgres)
    operated.settings |= {
        "unix_socket_dir": str(tmp_path),
        "default_pool_size": "8",
        "log_connections": "0",
        "log_disconnections": "0",
    }
    with contextlib.ExitStack() as stack:
        generations = [stack.enter_context(Program(operated))]
        operated.settings |= {"listen_port": str(generations[0].port)}
        url = url_of(generations[0])
        staying = stack.enter_context(Load(url, tmp_path, *STAYING))
        coming = stack.enter_context(Load(url, tmp_path, *COMING))
        for _ in range(3):
            serves_somebody(generations[-1])
            generations.append(stack.enter_context(Program(operated, "-R")))
        serves_somebody(generations[-1])
        assert staying.transactions() > 0
        assert coming.transactions() > 0
        for old in generations[:-1]:
            assert old.end() == 0


def test_members_of_a_group_are_replaced_one_after_the_other_under_load(
    tmp_path: Path, postgres: LocalServer, port: int
) -> None:
    with contextlib.ExitStack() as stack:
        members = [member(number, port, tmp_path, postgres) for number in (1, 2)]
        processes = [stack.enter_context(Program(one)) for one in members]
        load = stack.enter_context(Load(url_of(processes[0]), tmp_path, *COMING))
        for index, described in enumerate(members):
            serves_somebody(processes[index])
            processes[index].send(signal.SIGTERM)
            assert processes[index].end() == 0
            processes[index] = stack.enter_context(Program(described))
        serves_somebody(processes[0])
        assert load.transactions() > 0


def test_a_member_of_a_group_is_taken_over_under_load(
    tmp_path: Path, postgres: LocalServer, port: int
) -> None:
    with contextlib.ExitStack() as stack:
        members = [member(number, port, tmp_path, postgres) for number in (1, 2)]
        processes = [stack.enter_context(Program(one)) for one in members]
        url = url_of(processes[0])
        staying = stack.enter_context(Load(url, tmp_path, *STAYING))
        coming = stack.enter_context(Load(url, tmp_path, *COMING))
        for process, described in zip(processes, members, strict=True):
            serves_somebody(process)
            serves_somebody(stack.enter_context(Program(described, "-R")))
        assert staying.transactions() > 0
        assert coming.transactions() > 0
