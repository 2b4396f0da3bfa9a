"""Where everything happens: one PostgreSQL, one directory, and how much of everything to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from protocol import scram
from tests.support.postgres import given_server
from trio_pool.embedded import LocalServer, find_binaries, local_postgres
from trio_pool.embedded.account import server_account

CONNECTIONS_MAX: Final = 300


class LoadFailed(Exception):
    """A side could not carry a load to its end; says what was seen of the reason."""


class NotOffered(LoadFailed):
    """A side does not have what a load is about, and says so."""


@attrs.frozen(kw_only=True)
class Scale:
    """How much is done per round."""

    seconds: float = 3.0
    clients: tuple[int, ...] = (1, 16, 64, 256)
    bulk_bytes: int = 500_000_000
    rows: int = 1_000_000
    huge_row_bytes: int = 200_000_000
    crowd: int = 10_000
    users: int = 10_000

    @classmethod
    def quick(cls, clients: tuple[int, ...] | None, seconds: float | None) -> Scale:
        """Enough to see that everything works, too little to conclude anything from."""
        return cls(
            seconds=0.5 if seconds is None else seconds,
            clients=clients or (1, 16),
            bulk_bytes=50_000_000,
            rows=100_000,
            huge_row_bytes=20_000_000,
            crowd=1_000,
            users=1_000,
        )


@attrs.frozen(kw_only=True)
class Bench:
    """What a load may use. `directory` can be read by the account a peer runs as."""

    server: LocalServer
    directory: Path
    scale: Scale
    secret: str = attrs.field(repr=False)
    """What user lists hold for the server's user: a SCRAM verifier where the server trusts us."""

    def program(self, name: str) -> str:
        """The path of a client program of PostgreSQL; raises LoadFailed when there is none."""
        beside = find_binaries().program(name)
        found = str(beside) if beside.exists() else shutil.which(name)
        if found is None:
            raise LoadFailed(f"{name} is not on this machine (it comes with PostgreSQL)")
        return found

    def environment(self, tls: bool = False) -> dict[str, str]:
        """For a program that uses libpq."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return kept | {
            "PGPASSWORD": self.server.password,
            "PGSSLMODE": "require" if tls else "disable",
            "PGGSSENCMODE": "disable",
        }


@contextlib.contextmanager
def open_bench(scale: Scale, postgres_url: str | None) -> Iterator[Bench]:
    """A fresh server (or the one of the URL, which is left with pgbench's tables), filled."""
    with contextlib.ExitStack() as stack:
        if postgres_url is None:
            settings: dict[str, str | int] = {
                "max_connections": CONNECTIONS_MAX,
                "max_wal_size": "4GB",
            }
            server = stack.enter_context(local_postgres(auth="trust", settings=settings))
            secret = _verifier(server.password)
        else:
            server = given_server(postgres_url)
            # Why: a pooler can log in with a password wherever the server asks for one.
            secret = server.password
        above = tempfile.mkdtemp(prefix="trio-pool-bench-", dir="/tmp")
        stack.callback(shutil.rmtree, above)
        directory = Path(above)
        _open_to(directory)
        bench = Bench(server=server, directory=directory, scale=scale, secret=secret)
        _fill(bench)
        yield bench


def _verifier(password: str) -> str:
    return scram.make_verifier(password.encode(), os.urandom(16)).encode().decode()


def _open_to(directory: Path) -> None:
    """Let the account of a peer that refuses to run as root read what is put here."""
    account = server_account()
    if account is not None:
        os.chown(directory, 0, account.gid)
        directory.chmod(0o750)


def _fill(bench: Bench) -> None:
    """pgbench's tables, and one for COPY to throw rows at."""
    server = bench.server
    way = ["-h", server.host, "-p", str(server.port), "-U", server.user]
    for command in (
        [bench.program("pgbench"), *way, "-i", "-q", "-s", "1", server.database],
        [
            bench.program("psql"),
            *way,
            "-X",
            "-q",
            "-d",
            server.database,
            "-c",
            "drop table if exists bench_sink; create unlogged table bench_sink (line text)",
        ],
    ):
        done = subprocess.run(
            command, env=bench.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LoadFailed(f"PostgreSQL could not be prepared: {done.stderr[-500:]}")
