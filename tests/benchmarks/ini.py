"""The configuration file that every side is started with: the same for all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs

from tests.benchmarks.bench import Bench
from tests.benchmarks.tls import certificate
from trio_pool.embedded.account import server_account

CLIENTS_MAX: Final = 12_000


@attrs.frozen(kw_only=True)
class Needs:
    """What a load wants to be set; equal needs give equal files."""

    auth: str = "trust"
    pool_size: int = 20
    statements_max: int = 200
    round_robin: bool = False
    tls: bool = False
    users: int = 0
    """How many users there are in the user list besides the one who logs in."""


def write_ini(bench: Bench, needs: Needs, port: int, tracks_statements: bool) -> Path:
    """Write file and user list; the path of the file. A peer's account can read both."""
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "listen_backlog": "4096",
        "unix_socket_dir": "",
        "auth_type": needs.auth,
        "auth_file": str(_write_users(bench, needs)),
        "pool_mode": "transaction",
        "default_pool_size": str(needs.pool_size),
        "max_client_conn": str(CLIENTS_MAX),
        "server_round_robin": str(int(needs.round_robin)),
        "ignore_startup_parameters": "extra_float_digits",
        "log_connections": "0",
        "log_disconnections": "0",
        "log_stats": "0",
    }
    # Why: a PgBouncer without statement tracking ends at a setting it does not know.
    if tracks_statements:
        settings["max_prepared_statements"] = str(needs.statements_max)
    if needs.tls:
        key, cert = certificate(bench.directory)
        settings |= {
            "client_tls_sslmode": "require",
            "client_tls_key_file": str(key),
            "client_tls_cert_file": str(cert),
        }
    server = bench.server
    lines = ["[databases]", f"* = host={server.host} port={server.port}", "[pgbouncer]"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    return readable(bench.directory / f"pool-{port}.ini", "\n".join(lines) + "\n")


def users_path(bench: Bench, needs: Needs) -> Path:
    """The user list that goes with these needs."""
    return bench.directory / f"users-{needs.users}.txt"


def _write_users(bench: Bench, needs: Needs) -> Path:
    names = [bench.server.user, *(f"user_{number}" for number in range(needs.users))]
    text = "".join(f'"{name}" "{bench.secret}"\n' for name in names)
    return readable(users_path(bench, needs), text)


def readable(path: Path, text: str) -> Path:
    """Write a file that the account of a peer may read, and nobody else."""
    path.write_text(text)
    account = server_account()
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o600)
    return path
