"""A running pool in front of the test server, for drivers of every kind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import attrs

from tests.support.idle_backends import what_they_hide
from tests.support.raw import RawClient
from trio_pool.config import Config, Database, settings_from
from trio_pool.embedded import LocalServer
from trio_pool.threaded import ThreadedPool, pool_in_thread


@attrs.frozen(kw_only=True)
class RunningPool:
    """Where the pool listens and how to get in; `serving` is what the pool itself started."""

    host: str
    port: int
    user: str
    password: str = attrs.field(repr=False)
    database: str
    serving: ThreadedPool = attrs.field(repr=False)

    def what_idle_backends_hide(self) -> list[str]:
        """What an idle backend has that the pool does not know of, in sentences."""
        try:
            return self.serving.run(lambda: what_they_hide(self.serving.server))
        except RuntimeError:
            # The test has stopped it: there are no backends any more.
            return []

    def url(
        self, database: str | None = None, user: str | None = None, password: str | None = None
    ) -> str:
        """A connection URL; what is left out is the test server's superuser and database."""
        login = f"{_quoted(user or self.user)}:{_quoted(password or self.password)}"
        return f"postgresql://{login}@{self.host}:{self.port}/{_quoted(database or self.database)}"


def config_for(
    postgres: LocalServer,
    *,
    users: Mapping[str, str] | None = None,
    databases: Mapping[str, Database] | None = None,
    **settings: str | float,
) -> Config:
    """A pool in front of `postgres`: any database, the superuser and `users` (name: password).

    Backends log in as the client's user. `settings` are the texts of an ini file.
    """
    anywhere = Database(name="*", host=postgres.host, port=postgres.port, dbname="*")
    defaults: dict[str, str | float] = {
        "listen_addr": "127.0.0.1",
        "listen_port": 0,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "max_client_conn": 10_000,
    }
    return Config(
        settings=settings_from(**defaults | settings),
        databases={"*": anywhere} | dict(databases or {}),
        secrets={postgres.user: postgres.password} | dict(users or {}),
    )


def client_of(
    server: RunningPool | LocalServer,
    database: str | None = None,
    patience: float = 60,
    **parameters: str,
) -> RawClient:
    """A client of the pool's, or the server's, own user, logged in, with startup parameters."""
    return RawClient(
        (server.host, server.port),
        user=server.user,
        password=server.password,
        database=database or server.database,
        parameters=parameters,
        patience=patience,
    )


@contextlib.contextmanager
def running_pool(config: Config, postgres: LocalServer) -> Iterator[RunningPool]:
    """The pool of this configuration, listening, until the block ends.

    An exception that ended the pool is raised at the end of the block.
    """
    with pool_in_thread(config) as serving:
        host, port = next(address for address in serving.addresses if isinstance(address, tuple))
        yield RunningPool(
            host=host,
            port=port,
            user=postgres.user,
            password=postgres.password,
            database=postgres.database,
            serving=serving,
        )


def _quoted(text: str) -> str:
    return quote(text, safe="")
