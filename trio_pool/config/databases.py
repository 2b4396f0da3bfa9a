"""The databases that clients may ask for, and where each one really is.

One line of [databases] is one Database; the name `*` is the fallback for every other name.
What a line leaves out is None here and comes from the settings (see `model`).
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_pool.config import kinds
from trio_pool.config.errors import ConfigError
from trio_pool.config.kinds import ChannelBinding, LoadBalance, PoolMode
from trio_pool.config.pairs import Pairs

FALLBACK: Final = "*"
CONSOLE: Final = "pgbouncer"

KEYS: Final = frozenset(
    [
        "dbname",
        "host",
        "port",
        "user",
        "password",
        "auth_user",
        "auth_query",
        "auth_dbname",
        "pool_size",
        "min_pool_size",
        "reserve_pool_size",
        "reserve_pool",
        "connect_query",
        "pool_mode",
        "load_balance_hosts",
        "max_db_connections",
        "max_db_client_connections",
        "server_lifetime",
        "client_encoding",
        "datestyle",
        "timezone",
        "application_name",
        "query_wait_timeout",
        # Ours.
        "channel_binding",
    ]
)


@attrs.frozen(kw_only=True)
class Database:
    """Where a database is and how its backends are made.

    `host` is a name, an address, a directory of unix sockets (it starts with "/") or several
    of these separated by commas. `dbname` is the name at the server. A `user` is forced: every
    backend logs in as it, whoever the client is.
    """

    name: str
    host: str
    port: int = 5432
    dbname: str
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    auth_user: str | None = None
    auth_query: str | None = None
    auth_dbname: str | None = None
    pool_mode: PoolMode | None = None
    pool_size: int | None = None
    min_pool_size: int | None = None
    reserve_pool_size: int | None = None
    max_db_connections: int | None = None
    max_db_client_connections: int | None = None
    server_lifetime: float | None = None
    query_wait_timeout: float | None = None
    connect_query: str | None = None
    load_balance_hosts: LoadBalance | None = None
    channel_binding: ChannelBinding = ChannelBinding.PREFER
    client_encoding: str | None = None
    datestyle: str | None = None
    timezone: str | None = None
    application_name: str | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The places to try, in order; at least one."""
        return tuple(host.strip() for host in self.host.split(","))

    @property
    def startup_parameters(self) -> dict[str, str]:
        """The settings of this line that each of its backends logs in with."""
        given = {
            "client_encoding": self.client_encoding,
            "DateStyle": self.datestyle,
            "TimeZone": self.timezone,
            "application_name": self.application_name,
        }
        return {name: value for name, value in given.items() if value is not None}


def parse_database(name: str, text: str, unix_socket_dir: str) -> Database:
    """The database of one line.

    Without a host the server is reached through `unix_socket_dir`. Raises ConfigError.
    """
    if name == CONSOLE:
        raise ConfigError(f"the name {CONSOLE!r} is reserved for the console")
    return _database(name, Pairs(text, KEYS), unix_socket_dir)


def _database(name: str, pairs: Pairs, unix_socket_dir: str) -> Database:
    reserve = pairs.get("reserve_pool_size", kinds.NUMBER)
    port = pairs.get("port", kinds.PORT)
    return Database(
        name=name,
        host=pairs.text("host") or unix_socket_dir,
        port=5432 if port is None else port,
        dbname=pairs.text("dbname") or name,
        user=pairs.text("user"),
        password=pairs.text("password"),
        auth_user=pairs.text("auth_user"),
        auth_query=pairs.text("auth_query"),
        auth_dbname=pairs.text("auth_dbname"),
        pool_mode=pairs.get("pool_mode", kinds.POOL_MODE),
        pool_size=pairs.get("pool_size", kinds.NUMBER),
        min_pool_size=pairs.get("min_pool_size", kinds.NUMBER),
        reserve_pool_size=pairs.get("reserve_pool", kinds.NUMBER) if reserve is None else reserve,
        max_db_connections=pairs.get("max_db_connections", kinds.NUMBER),
        max_db_client_connections=pairs.get("max_db_client_connections", kinds.NUMBER),
        server_lifetime=pairs.get("server_lifetime", kinds.SECONDS),
        query_wait_timeout=pairs.get("query_wait_timeout", kinds.SECONDS),
        connect_query=pairs.text("connect_query"),
        load_balance_hosts=pairs.get("load_balance_hosts", kinds.LOAD_BALANCE),
        channel_binding=pairs.get("channel_binding", kinds.CHANNEL_BINDING)
        or ChannelBinding.PREFER,
        client_encoding=pairs.text("client_encoding"),
        datestyle=pairs.text("datestyle"),
        timezone=pairs.text("timezone"),
        application_name=pairs.text("application_name"),
    )
