"""How a process is started, watched over and replaced: -d, -R, and a service manager."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from protocol import frontend
from tests.support.console import OPERATOR, Operated
from tests.support.program import PATIENCE_SECONDS, Program
from tests.support.raw import RawClient
from trio_pool.conform.replies import field
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    described = Operated(tmp_path, postgres)
    described.settings |= {
        "unix_socket_dir": str(tmp_path),
        "pidfile": str(tmp_path / "pid"),
    }
    return described


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came true"


def pid_of(program: Program) -> int:
    """Who answers at its port."""
    with program.client("pgbouncer", OPERATOR) as console:
        return int(dict(console.execute("SHOW TRIO_POOL").fetchall())["pid"])


# In the background.


def started(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trio_pool", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextlib.contextmanager
def ended_at_last(pidfile: Path) -> Iterator[None]:
    try:
        yield
    finally:
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), signal.SIGKILL)


def test_a_daemon_serves_once_the_command_has_ended(operated: Operated, tmp_path: Path) -> None:
    operated.settings |= {"logfile": str(tmp_path / "log")}
    with ended_at_last(tmp_path / "pid"):
        done = started("-d", str(operated.write()))

        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        pid = int((tmp_path / "pid").read_text())
        assert os.getsid(pid) not in (pid, os.getsid(0))
        log = tmp_path / "log"
        eventually(lambda: "listening on 127.0.0.1" in log.read_text())
        found = re.search(r"\[(\d+)\] LOG listening on 127\.0\.0\.1:(\d+)", log.read_text())
        assert found is not None
        assert int(found[1]) == pid
        user = operated.postgres.user
        with RawClient(
            ("127.0.0.1", int(found[2])), user=user, password=operated.secrets[user]
        ) as client:
            assert client.rows("select 6 * 7") == [("42",)]
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not (tmp_path / "pid").exists())


def test_the_command_says_why_a_daemon_could_not_start(operated: Operated, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        operated.settings |= {
            "logfile": str(tmp_path / "log"),
            "listen_port": str(holder.getsockname()[1]),
        }
        done = started("--daemon", str(operated.write()))

    assert done.returncode == 1
    assert "another program listens there" in done.stderr
    assert "FATAL" in (tmp_path / "log").read_text()
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("missing", ["pidfile", "logfile"])
def test_a_daemon_needs_a_pid_file_and_a_log(
    operated: Operated, tmp_path: Path, missing: str
) -> None:
    operated.settings |= {"logfile": str(tmp_path / "log"), missing: ""}
    done = started("-d", str(operated.write()))

    assert done.returncode == 1
    assert missing in done.stderr


# Taking over.


@contextlib.contextmanager
def successor_of(running: Program) -> Iterator[Program]:
    """A second process with the same file, but for a port that is known by now."""
    running.operated.settings |= {"listen_port": str(running.port)}
    with Program(running.operated, "-R") as successor:
        yield successor


def test_a_successor_takes_new_clients_and_the_old_one_keeps_its_own(
    operated: Operated, tmp_path: Path
) -> None:
    with Program(operated) as old, old.client() as client:
        client.execute("begin")
        with successor_of(old) as new:
            assert new.port == old.port
            old.wait_for("SHUTDOWN WAIT_FOR_CLIENTS command issued")
            assert pid_of(new) == new.process.pid
            assert (tmp_path / "pid").read_text() == f"{new.process.pid}\n"
            assert client.execute("select 1").fetchone() == (1,)
            client.execute("commit")
            client.close()

            assert old.end() == 0
            new.wait_for("the process before us has ended")
            assert (tmp_path / "pid").read_text() == f"{new.process.pid}\n"
            place = f"host={tmp_path} port={new.port} dbname=pgbouncer user=pgbouncer"
            with psycopg.connect(place, autocommit=True) as console:
                assert console.execute("SHOW STATE").fetchone() == ("active", "yes")
            new.send(signal.SIGINT)
            assert new.end() == 0
    assert not list(tmp_path.glob(".s.PGSQL.*"))


def test_a_cancel_request_finds_its_query_two_generations_back(operated: Operated) -> None:
    with Program(operated) as first:
        user = operated.postgres.user
        secret = operated.secrets[user]
        with RawClient(("127.0.0.1", first.port), user=user, password=secret) as client:
            client.send(frontend.query(b"select pg_sleep(60)"))
            with successor_of(first) as second, successor_of(second) as third:
                eventually(lambda: pid_of(third) == third.process.pid)
                client.patience = PATIENCE_SECONDS
                client.cancel()
                *_, error, ready = client.receive()

                assert (field(error, "C"), ready) == ("57014", ("Z", "I"))
                assert client.rows("select 5") == [("5",)]
                assert first.process.poll() is second.process.poll() is None


def test_without_a_process_to_replace_it_starts_like_any_other(operated: Operated) -> None:
    with Program(operated, "--reboot") as program, program.client() as client:
        assert client.execute("select 1").fetchone() == (1,)


def test_only_the_account_of_the_process_is_handed_its_sockets(operated: Operated) -> None:
    with Program(operated) as program, program.client("pgbouncer", OPERATOR) as console:
        rows = console.execute("SHOW FDS").fetchall()

        assert {(row[1], row[4], row[5]) for row in rows} == {
            ("pooler", "127.0.0.1", program.port),
            ("pooler", "unix", 0),
        }


# Under a service manager.


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where a service manager listens for what its services say."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(PATIENCE_SECONDS)
        yield sock


def told(manager: socket.socket, first: str) -> dict[str, str]:
    """The next thing a manager is told that begins so; whether we live, it asks all the time."""
    while True:
        pairs = [line.partition("=") for line in manager.recv(4096).decode().splitlines()]
        if pairs[0][0] == first:
            return {name: value for name, _, value in pairs}
        assert pairs[0][0] == "WATCHDOG", pairs


def test_a_service_manager_is_told_of_the_start_a_reload_and_the_end(
    operated: Operated, manager: socket.socket
) -> None:
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    with Program(operated, environment=environment) as program:
        pid = str(program.process.pid)
        assert told(manager, "READY") == {"READY": "1", "MAINPID": pid}
        told(manager, "WATCHDOG")
        told(manager, "WATCHDOG")
        before = time.monotonic_ns() // 1_000
        program.send(signal.SIGHUP)
        assert before < int(told(manager, "RELOADING")["MONOTONIC_USEC"])
        told(manager, "READY")
        program.send(signal.SIGINT)

        assert told(manager, "STOPPING") == {"STOPPING": "1"}
        assert program.end() == 0


def test_a_reload_that_fails_is_over_for_the_service_manager_too(
    operated: Operated, manager: socket.socket
) -> None:
    with Program(operated, environment={"NOTIFY_SOCKET": manager.getsockname()}) as program:
        told(manager, "READY")
        operated.settings |= {"query_timeout": "soon"}
        operated.write()
        program.send(signal.SIGHUP)

        told(manager, "RELOADING")
        told(manager, "READY")


def test_sockets_of_a_service_manager_are_served_and_left_to_it(
    operated: Operated, tmp_path: Path
) -> None:
    """The manager here is a shell between us: only the process itself knows its number."""
    operated.settings |= {"listen_addr": "192.0.2.1"}
    path = str(tmp_path / ".s.PGSQL.5")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix,
    ):
        unix.bind(path)
        unix.listen()
        manager = (
            "import os, sys\n"
            f"one, two = os.dup({tcp.fileno()}), os.dup({unix.fileno()})\n"
            "high = [os.dup2(fd, 100 + n) for n, fd in enumerate((one, two))]\n"
            "for n, fd in enumerate(high): os.dup2(fd, 3 + n)\n"
            "os.environ |= {'LISTEN_FDS': '2', 'LISTEN_PID': str(os.getpid())}\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'trio_pool', sys.argv[1]])"
        )
        with subprocess.Popen(
            [sys.executable, "-c", manager, str(operated.write())],
            pass_fds=(tcp.fileno(), unix.fileno()),
            stderr=subprocess.PIPE,
        ) as process:
            try:
                # It waits in the queue of the socket until the pool is there.
                address = tcp.getsockname()
                user = operated.postgres.user
                url = f"host=127.0.0.1 port={address[1]} user={user} dbname=postgres"
                with psycopg.connect(url, password=operated.secrets[user]) as client:
                    assert client.execute("select 1").fetchone() == (1,)
                place = f"host={tmp_path} port=5 dbname=pgbouncer user=pgbouncer"
                with psycopg.connect(place, autocommit=True) as console:
                    console.execute("SHOW STATE")
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE_SECONDS) == 0
            finally:
                process.kill()
        assert Path(path).is_socket()
