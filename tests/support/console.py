"""An operator: a pool made from an ini file, and commands at its console."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from trio_pool.config import load_config
from trio_pool.embedded import LocalServer
from trio_pool.threaded import ThreadedPool, pool_in_thread

OPERATOR, WATCHER, STRANGER = "operator", "watcher", "stranger"
PASSWORD = "at the console"
PATIENCE_SECONDS = 20


class Operated:
    """A running pool, its file, and who sits at its console."""

    def __init__(self, path: Path, postgres: LocalServer) -> None:
        self.path = path
        self.postgres = postgres
        self.settings: dict[str, str] = {}
        self.databases = {"*": f"host={postgres.host} port={postgres.port}"}
        self.users: dict[str, str] = {}
        self.peers: dict[str, str] = {}
        self.secrets = {
            postgres.user: postgres.password,
            **dict.fromkeys([OPERATOR, WATCHER, STRANGER], PASSWORD),
        }
        self.serving: ThreadedPool | None = None

    def write(self) -> Path:
        """Write the files as they are described now."""
        secrets = "".join(f'"{user}" "{secret}"\n' for user, secret in self.secrets.items())
        (self.path / "users").write_text(secrets)
        sections = {
            "databases": self.databases,
            "users": self.users,
            "peers": self.peers,
            "pgbouncer": {
                "listen_addr": "127.0.0.1",
                "listen_port": "0",
                "unix_socket_dir": "",
                "auth_type": "scram-sha-256",
                "auth_file": str(self.path / "users"),
                "pool_mode": "transaction",
                "default_pool_size": "2",
                "admin_users": OPERATOR,
                "stats_users": WATCHER,
                **self.settings,
            },
        }
        lines = []
        for section, pairs in sections.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in pairs.items())]
        file = self.path / "pool.ini"
        file.write_text("\n".join(lines) + "\n")
        return file

    def url(self, database: str, user: str | None = None) -> str:
        """Where and how `user` (the superuser) connects."""
        assert self.serving is not None
        host, port = next(a for a in self.serving.addresses if isinstance(a, tuple))
        user = user or self.postgres.user
        secret = self.secrets[user].replace(" ", "%20")
        return f"postgresql://{user}:{secret}@{host}:{port}/{database}?connect_timeout=20"

    def client(self, database: str = "postgres", user: str | None = None) -> psycopg.Connection:
        """A client of a database, in autocommit."""
        return psycopg.connect(self.url(database, user), autocommit=True)

    def tell(self, command: str, user: str = OPERATOR) -> str:
        """The tag that a command of the console is answered with; errors raise."""
        with self.client("pgbouncer", user) as console:
            return console.execute(command).statusmessage or ""

    def show(self, table: str, user: str = OPERATOR) -> list[dict[str, object]]:
        """A table of the console, rows by column."""
        with self.client("pgbouncer", user) as console:
            return console.cursor(row_factory=dict_row).execute(f"SHOW {table}").fetchall()

    def row(self, table: str, **where: object) -> dict[str, object]:
        """The one row of a table that has these values."""
        wanted = where.items()
        (found,) = [row for row in self.show(table) if wanted <= row.items()]
        return found


@contextlib.contextmanager
def serving(operated: Operated) -> Iterator[Operated]:
    """Serve the file as it is described now, until the block ends."""
    file = operated.write()
    with pool_in_thread(load_config(file), read_config=lambda: load_config(file)) as started:
        operated.serving = started
        yield operated
