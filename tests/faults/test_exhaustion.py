"""The machine has no more to give: those who are served go on, the others wait for better times."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from protocol import frontend
from tests.conftest import unavailable
from tests.support.console import Operated
from tests.support.program import PATIENCE_SECONDS, Program
from tests.support.raw import RawClient
from trio_pool.embedded import LocalServer

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted there"),
]

STRANGERS: Final = 5_000


def address_of(program: Program) -> tuple[str, int]:
    return "127.0.0.1", program.port


def client_of(program: Program) -> RawClient:
    server = program.operated.postgres
    return RawClient(
        address_of(program), user=server.user, password=server.password, patience=PATIENCE_SECONDS
    )


def allow_descriptors(program: Program, more: int) -> None:
    """From now on the process may have about so many more than it has."""
    pid = program.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    # Why not their count: the limit is on the numbers, and some below may be free.
    free = next(number for number in itertools.count() if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + more, hard))


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    made = Operated(tmp_path, postgres)
    made.settings |= {"max_client_conn": str(STRANGERS + 100)}
    return made


@pytest.fixture
def program(operated: Operated) -> Iterator[Program]:
    with Program(operated) as program:
        yield program


def test_without_descriptors_for_a_backend_clients_wait_for_one(program: Program) -> None:
    with client_of(program) as early, client_of(program) as late:
        early.rows("select 1")
        early.ask(frontend.query(b"begin"))
        allow_descriptors(program, 0)
        late.send(frontend.query(b"select 'served'"))
        program.wait_for("Too many open files")
        assert early.rows("select 'well'") == [("well",)]

        allow_descriptors(program, 100)
        assert ("D", b"served") in late.receive("Z")


def test_without_descriptors_for_a_client_the_others_go_on(program: Program) -> None:
    with client_of(program) as early:
        early.rows("select 1")
        allow_descriptors(program, 0)
        with socket.create_connection(address_of(program)) as stranger:
            stranger.sendall(b"\0")
            program.wait_for("cannot accept clients for now")
            for _ in range(10):
                assert early.rows("select 'well'") == [("well",)]
        allow_descriptors(program, 100)
        with client_of(program) as late:
            assert late.rows("select 'served'") == [("served",)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_disk_that_is_full_stops_the_log_and_not_the_pool(operated: Operated) -> None:
    operated.settings |= {"logfile": "/dev/full"}
    with Program(operated) as program:
        for _ in range(3):
            with client_of(program) as client:
                assert client.rows("select 'served'") == [("served",)]
        program.send(signal.SIGQUIT)
        assert program.process.stderr is not None
        said = program.process.stderr.read()
        assert program.process.wait(PATIENCE_SECONDS) == 0
    # Said before the first line that was waited for, or behind it, and once.
    assert said.count("cannot write to the log file") <= 1
    assert "Traceback" not in said


def test_five_thousand_strangers_keep_nobody_from_logging_in(program: Program) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < STRANGERS + 500:
        unavailable(f"only {hard} file descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with contextlib.ExitStack() as stack:
            for number in range(STRANGERS):
                stranger = stack.enter_context(socket.create_connection(address_of(program), 30))
                stranger.sendall(b"\0\0\0\x20\0\3\0\0"[: number % 9])
                if number % 500 == 0:
                    with client_of(program) as client:
                        assert client.rows("select 'served'") == [("served",)]
            with client_of(program) as client:
                assert client.rows("select 'served'") == [("served",)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with client_of(program) as client:
        assert client.rows("select 'served'") == [("served",)]
