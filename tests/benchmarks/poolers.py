"""The sides of a contest: how each is started, found and described.

A program is started afresh for every measurement, so that peak memory is that of this load
and no measurement inherits what another one left behind. A pooler that runs already (`--peer`)
is taken as it is. Our own pool is started through its command like anybody else's.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import attrs

from tests.benchmarks.accounting import forget_peak
from tests.benchmarks.bench import Bench, LoadFailed, NotOffered
from tests.benchmarks.client import Way
from tests.benchmarks.ini import Needs, write_ini
from trio_pool.embedded.account import server_account, start_as

OURS: Final = "trio-pool"
START_SECONDS_MAX: Final = 120.0
_STOP_SECONDS_MAX: Final = 20.0
_POLL_SECONDS: Final = 0.01
_LOG_TAIL_BYTES: Final = 400

# Which prepared statements survive a change of the backend.
BY_PROTOCOL: Final = "protocol"
BY_SQL: Final = "sql"


@attrs.frozen(kw_only=True)
class Running:
    """A pooler that listens; `pid` is the process that is charged."""

    name: str
    host: str
    port: int
    pid: int
    ours_to_signal: bool = True


def way_to(bench: Bench, running: Running) -> Way:
    """How a client of our own logs in there."""
    server = bench.server
    return Way(
        host=running.host,
        port=running.port,
        user=server.user,
        password=server.password,
        database=server.database,
    )


class Side(Protocol):
    """Who takes part."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def tracks(self) -> frozenset[str]: ...
    def open(self, bench: Bench, needs: Needs) -> contextlib.AbstractContextManager[Running]:
        """Have it listen with these settings for as long as the block lasts.

        Raises NotOffered, with the reason, when it does not.
        """


@attrs.frozen(kw_only=True)
class Program:
    """A pooler that is started: `command`, then the path of an ini file."""

    name: str
    command: tuple[str, ...]
    version: str
    tracks: frozenset[str]
    refuses_root: bool = False

    @contextlib.contextmanager
    def open(self, bench: Bench, needs: Needs) -> Iterator[Running]:
        port = free_port()
        ini = write_ini(bench, needs, port, BY_PROTOCOL in self.tracks)
        log_path = bench.directory / f"{self.name}.log"
        account = server_account() if self.refuses_root else None
        with log_path.open("wb") as log:
            process = start_as(account, [*self.command, str(ini)], log)
        try:
            try:
                _wait_until_it_listens(process, port)
            except LoadFailed as failure:
                raise NotOffered(_with_log(failure, log_path)) from failure
            try:
                yield Running(name=self.name, host="127.0.0.1", port=port, pid=process.pid)
            except NotOffered:
                raise
            except LoadFailed as failure:
                raise LoadFailed(_with_log(failure, log_path)) from failure
        finally:
            _end(process)
            ini.unlink()


@attrs.frozen(kw_only=True)
class Peer:
    """A pooler that somebody else started and configured."""

    name: str
    host: str
    port: int
    pid: int
    version: str = "as given"
    tracks: frozenset[str] = frozenset((BY_PROTOCOL,))

    @contextlib.contextmanager
    def open(self, bench: Bench, needs: Needs) -> Iterator[Running]:
        forget_peak(self.pid)
        yield Running(
            name=self.name, host=self.host, port=self.port, pid=self.pid, ours_to_signal=False
        )


def our_pool(pure: bool, compiled: bool) -> Program:
    """This interpreter's trio_pool, which must be installed; `pure` forbids compiled modules.

    Raises LoadFailed when `compiled` insists on them and there are none.
    """
    environment = ("env", "TRIO_POOL_PURE=1") if pure else ("env", "-u", "TRIO_POOL_PURE")
    command = (*environment, sys.executable, "-m", "trio_pool")
    ours = Program(
        name=OURS,
        command=command,
        version=_version(command),
        tracks=frozenset((BY_PROTOCOL, BY_SQL)),
    )
    if compiled and form_of(ours) != "compiled":
        raise LoadFailed(f"--compiled, and it says: {ours.version} (is it installed so?)")
    return ours


def other_program(name: str, command: tuple[str, ...]) -> Program:
    """Any pooler that reads PgBouncer's files. Raises LoadFailed when it cannot be started."""
    version = _version(command)
    number = re.search(r"pgbouncer (\d+)\.(\d+)", version, re.IGNORECASE)
    if number is not None:
        tracking = (int(number[1]), int(number[2])) >= (1, 21)
        tracks = frozenset((BY_PROTOCOL,)) if tracking else frozenset[str]()
        return Program(
            name=name, command=command, version=version, tracks=tracks, refuses_root=True
        )
    tracks = frozenset((BY_PROTOCOL, BY_SQL) if OURS in version else (BY_PROTOCOL,))
    return Program(name=name, command=command, version=version, tracks=tracks)


def form_of(side: Side) -> str:
    """Which build of ours a side is; the version text says so in brackets."""
    return "compiled" if "(compiled" in side.version else "pure"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _version(command: tuple[str, ...]) -> str:
    """The first line of what `--version` prints."""
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=True, cwd="/"
        )
    except (OSError, subprocess.CalledProcessError) as failure:
        raise LoadFailed(f"{' '.join(command)} --version failed: {failure}") from failure
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _with_log(failure: LoadFailed, log: Path) -> str:
    tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    return f"{failure}; its log ends: {tail or '(empty)'}"


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LoadFailed(f"it ended at once with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise LoadFailed("it did not listen in time")


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS_MAX)
