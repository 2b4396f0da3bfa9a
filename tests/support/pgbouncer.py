"""PgBouncer as the distribution has it, in front of the test server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import unavailable
from trio_pool.embedded import LocalServer
from trio_pool.embedded.account import server_account, start_as

START_SECONDS_MAX = 20.0


@contextlib.contextmanager
def running_pgbouncer(postgres: LocalServer, admin_users: str = "") -> Iterator[int]:
    """The port of a PgBouncer in transaction mode that serves every database."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        unavailable("there is no pgbouncer on this machine")
    account = server_account()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        directory = Path(folder)
        directory.chmod(0o755)
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
        users = directory / "users.txt"
        users.write_text(f'"{postgres.user}" "{postgres.password}"\n')
        ini = directory / "pgbouncer.ini"
        ini.write_text(
            f"[databases]\n* = host={postgres.host} port={postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\n"
            f"default_pool_size = 20\nadmin_users = {admin_users}\n"
        )
        free.close()
        with (directory / "log").open("wb") as log:
            process = start_as(account, [program, str(ini)], log)
        try:
            _wait_until_it_listens(port, directory / "log")
            yield port
        finally:
            process.kill()
            process.wait()


def _wait_until_it_listens(port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        assert time.monotonic() < deadline, log.read_text()
