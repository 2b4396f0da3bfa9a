"""Thousands of clients on a few backends: everyone is answered, and memory stays within bounds.

The pool runs in a process of its own, as does the crowd: what is measured is the pool's.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest

from tests.conftest import unavailable
from tests.support.raw import RawClient
from tests.support.scrubber import what_is_left
from trio_pool.embedded import LocalServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

CLIENTS: Final = 2_000
BACKENDS: Final = 20
TRANSACTIONS: Final = 6
# Limit: generous; an idle client costs a few kilobytes, and 2,000 SCRAM logins some garbage.
GROWTH_BYTES_MAX: Final = 120 * 1024 * 1024
CROWD_SECONDS_MAX: Final = 120
START_SECONDS_MAX: Final = 20

_ADDRESS: Final = re.compile(rb"127\.0\.0\.1:(\d+)")
_ROOT: Final = Path(__file__).resolve().parents[2]


@attrs.frozen
class PoolProcess:
    """A pool started as a command."""

    pid: int
    port: int

    def resident_bytes(self) -> int:
        """What the process holds in memory now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()


@pytest.fixture
def pool_process(postgres: LocalServer, tmp_path: Path) -> Iterator[PoolProcess]:
    """The pool as its users start it, from an ini file."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is read from /proc")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CLIENTS + 500:
        unavailable(f"only {hard} file descriptors are allowed")
    (tmp_path / "users.txt").write_text(f'"{postgres.user}" "{postgres.password}"\n')
    ini = tmp_path / "pool.ini"
    ini.write_text(
        f"[databases]\n* = host={postgres.host} port={postgres.port}\n"
        "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = 0\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {tmp_path / 'users.txt'}\n"
        f"pool_mode = transaction\ndefault_pool_size = {BACKENDS}\n"
        f"max_client_conn = {CLIENTS + 100}\n"
    )
    command = [sys.executable, "-m", "trio_pool", str(ini)]
    with subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.PIPE) as process:
        log = _Log(process)
        try:
            yield PoolProcess(process.pid, log.port())
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            log.join()


class _Log:
    """Reads the pool's log all the time, lest it waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self._stream = process.stderr
        self._ports: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def port(self) -> int:
        """Where the pool says it listens."""
        port = self._ports.get(timeout=START_SECONDS_MAX)
        assert port is not None, "the pool ended before it listened"
        return port

    def join(self) -> None:
        self._thread.join()

    def _read(self) -> None:
        for line in self._stream:
            told = _ADDRESS.search(line)
            if told and b"listen" in line.lower():
                self._ports.put(int(told.group(1)))
        self._ports.put(None)


def test_two_thousand_clients_share_twenty_backends(
    pool_process: PoolProcess, postgres: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = ("127.0.0.1", pool_process.port)
    login = {"user": postgres.user, "password": postgres.password, "database": postgres.database}
    with RawClient(pool, **login) as first:  # type: ignore[arg-type]
        first.rows("select 1")
    who = (postgres.user, postgres.database)
    how_much = (str(CLIENTS), str(TRANSACTIONS))
    before = pool_process.resident_bytes()

    crowd = subprocess.run(
        [sys.executable, "-m", "tests.support.crowd", *map(str, pool), *who, *how_much],
        cwd=_ROOT,
        env=os.environ | {"PGPASSWORD": postgres.password},
        stdout=subprocess.PIPE,
        timeout=CROWD_SECONDS_MAX,
        check=False,
    )

    growth = pool_process.resident_bytes() - before
    with capsys.disabled():
        print(f"\n{CLIENTS} clients: the pool grew by {growth / 1024 / CLIENTS:.1f} KiB for each")
    outcome = json.loads(crowd.stdout)
    assert outcome == {"done": CLIENTS * TRANSACTIONS, "errors": 0, "shown": []}
    assert growth < GROWTH_BYTES_MAX
    with RawClient((postgres.host, postgres.port), **login) as admin:  # type: ignore[arg-type]
        used = admin.rows(
            "select count(*) <= 20 from pg_stat_activity where backend_type = 'client backend'"
            " and pid <> pg_backend_pid()"
        )
        assert used == [("t",)]
        assert what_is_left(RawClient(pool, **login), admin) == []  # type: ignore[arg-type]
