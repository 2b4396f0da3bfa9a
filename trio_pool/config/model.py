"""The whole configuration as one immutable value.

A RELOAD makes a new Config and compares; nothing changes one. The questions that involve more
than one section (which database is meant, whose limit counts) are answered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import attrs

from trio_pool.config.databases import CONSOLE, FALLBACK, Database
from trio_pool.config.hba import Hba
from trio_pool.config.kinds import PoolMode
from trio_pool.config.settings import Settings
from trio_pool.config.users import Peer, User

_N = TypeVar("_N", int, float)


@attrs.frozen(kw_only=True)
class Limits:
    """What holds for the pool of one database and user. Seconds; 0 means no limit."""

    pool_mode: PoolMode
    pool_size: int
    min_pool_size: int
    reserve_pool_size: int
    max_db_connections: int
    max_user_connections: int
    server_lifetime: float
    query_timeout: float
    query_wait_timeout: float
    idle_transaction_timeout: float
    transaction_timeout: float
    client_idle_timeout: float


@attrs.frozen(kw_only=True)
class Config:
    """Settings, databases, users and their secrets; `notices` is what to log at the start."""

    settings: Settings
    databases: Mapping[str, Database]
    users: Mapping[str, User] = attrs.field(factory=dict)
    peers: Mapping[int, Peer] = attrs.field(factory=dict)
    secrets: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    hba: Hba | None = None
    notices: tuple[str, ...] = ()

    def database(self, name: str) -> Database | None:
        """The database a client means by `name`; None when there is none.

        The fallback `*` serves every other name but the console's, and means the database of
        the requested name unless its line says a dbname.
        """
        known = self.databases.get(name)
        fallback = self.databases.get(FALLBACK)
        if known is not None and name != FALLBACK:
            return known
        if fallback is None or name == CONSOLE:
            return None
        dbname = name if fallback.dbname == FALLBACK else fallback.dbname
        return attrs.evolve(fallback, name=name, dbname=dbname)

    def limits(self, database: Database, user: str) -> Limits:
        """What holds for this user in this database: the user's own line counts first, then
        the database's, then the settings (as in PgBouncer, src/objects.c).
        """
        own = self.users.get(user) or User(name=user)
        general = self.settings
        return Limits(
            pool_mode=own.pool_mode or database.pool_mode or general.pool_mode,
            pool_size=_first(own.pool_size, database.pool_size, general.default_pool_size),
            min_pool_size=_first(database.min_pool_size, general.min_pool_size),
            reserve_pool_size=_first(
                own.reserve_pool_size, database.reserve_pool_size, general.reserve_pool_size
            ),
            max_db_connections=_first(database.max_db_connections, general.max_db_connections),
            max_user_connections=_first(own.max_user_connections, general.max_user_connections),
            server_lifetime=_first(database.server_lifetime, general.server_lifetime),
            query_timeout=_first(own.query_timeout, general.query_timeout),
            query_wait_timeout=_first(
                own.query_wait_timeout, database.query_wait_timeout, general.query_wait_timeout
            ),
            idle_transaction_timeout=_first(
                own.idle_transaction_timeout, general.idle_transaction_timeout
            ),
            transaction_timeout=_first(own.transaction_timeout, general.transaction_timeout),
            client_idle_timeout=_first(own.client_idle_timeout, general.client_idle_timeout),
        )

    def client_limits(self, name: str, user: str) -> tuple[int, int]:
        """How many clients this database may have, and this user; 0 is no limit."""
        database, own = self.database(name), self.users.get(user) or User(name=user)
        general = self.settings
        of_database = None if database is None else database.max_db_client_connections
        return (
            _first(of_database, general.max_db_client_connections),
            _first(own.max_user_client_connections, general.max_user_client_connections),
        )


def _first(*values: _N | None) -> _N:
    """The first value that is given. The last one always is."""
    return next(value for value in values if value is not None)
