"""One throw-away PostgreSQL cluster: make it, start it, stop it.

Everything lives in one temporary directory that its owner (`local`) removes. The server
listens on 127.0.0.1 and on a unix socket inside that directory, and trades durability for speed.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from trio_pool.embedded.account import Account, hand_over, start_as
from trio_pool.embedded.discovery import Binaries
from trio_pool.embedded.errors import PostgresFailed

START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 10.0
PORT_TRIES_MAX: Final = 10
_POLL_SECONDS: Final = 0.01
_LOG_TAIL_BYTES: Final = 4000
# Limit: the longest path of a unix socket (sun_path) on Linux, less the socket's own name.
_SOCKET_DIRECTORY_BYTES_MAX: Final = 107 - len("/.s.PGSQL.65535")

FAST_AND_LOOSE: Final = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


@attrs.frozen
class Cluster:
    """Where a cluster lives, with which programs and as which account it runs."""

    binaries: Binaries
    account: Account | None
    workplace: Path

    @property
    def data(self) -> Path:
        return self.workplace / "data"

    @property
    def log(self) -> Path:
        return self.workplace / "server.log"

    def create(self, user: str, password: str, auth: str) -> None:
        """Run initdb; `auth` holds for every connection. Raises PostgresFailed."""
        secret = self.workplace / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        hand_over(secret, self.account)
        command = [str(self.binaries.program("initdb")), "--pgdata", str(self.data)]
        command += ["--username", user, "--auth", auth, "--pwfile", str(secret)]
        command += ["--no-sync", "--no-locale", "--encoding", "UTF8"]
        with self.log.open("ab") as log:
            status = start_as(self.account, command, log).wait()
        secret.unlink()
        if status != 0:
            raise PostgresFailed("initdb failed", self.log_tail())
        self.log.write_bytes(b"")

    def start(self, settings: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
        """Start the server on a free port and wait until it is ready: (process, port).

        A port that looks free may be gone when the server binds it; then another is tried.
        Raises PostgresFailed.
        """
        for _ in range(PORT_TRIES_MAX):
            port = _free_port()
            tail_from = self.log.stat().st_size
            with self.log.open("ab") as log:
                process = start_as(self.account, self._command(port, settings), log)
            try:
                if self._wait_until_ready(process):
                    return process, port
            except BaseException:
                stop(process)
                raise
            if b"could not bind" not in self.log.read_bytes()[tail_from:]:
                break
        raise PostgresFailed("postgres did not start", self.log_tail())

    def log_tail(self) -> str:
        """The end of the server's log."""
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def _command(self, port: int, settings: Mapping[str, str]) -> list[str]:
        sockets = str(self.workplace)
        short = len(sockets.encode()) <= _SOCKET_DIRECTORY_BYTES_MAX
        given = {
            **FAST_AND_LOOSE,
            "unix_socket_directories": sockets if short else "",
            **settings,
            "port": str(port),
        }
        options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binaries.program("postgres")), "-D", str(self.data), *options]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """False when the server ended instead. Line 8 of postmaster.pid is its own word on
        whether it accepts connections (src/include/utils/pidfile.h)."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while process.poll() is None:
            if self._status() == "ready":
                return True
            if time.monotonic() > deadline:
                stop(process)
                return False
            time.sleep(_POLL_SECONDS)
        return False

    def _status(self) -> str:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return "starting"
        return lines[7].strip() if len(lines) > 7 else "starting"


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server: fast shutdown, then immediate, then by force; returns when it is gone."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
