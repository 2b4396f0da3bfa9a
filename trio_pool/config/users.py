"""Limits for single users ([users]) and the neighbours of this process ([peers]).

What a line leaves out is None and comes from the database or the settings.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_pool.config import kinds
from trio_pool.config.errors import ConfigError
from trio_pool.config.kinds import PoolMode
from trio_pool.config.pairs import Pairs

USER_KEYS: Final = frozenset(
    [
        "pool_size",
        "reserve_pool_size",
        "pool_mode",
        "max_user_connections",
        "max_user_client_connections",
        "query_timeout",
        "idle_transaction_timeout",
        "transaction_timeout",
        "client_idle_timeout",
        "query_wait_timeout",
    ]
)
PEER_KEYS: Final = frozenset(("host", "port", "pool_size"))


@attrs.frozen(kw_only=True)
class User:
    """What one user is allowed, where it differs from the rest."""

    name: str
    pool_mode: PoolMode | None = None
    pool_size: int | None = None
    reserve_pool_size: int | None = None
    max_user_connections: int | None = None
    max_user_client_connections: int | None = None
    query_timeout: float | None = None
    idle_transaction_timeout: float | None = None
    transaction_timeout: float | None = None
    client_idle_timeout: float | None = None
    query_wait_timeout: float | None = None


@attrs.frozen(kw_only=True)
class Peer:
    """Another process of the same group, to which cancel requests are passed on."""

    id: int
    host: str
    port: int = 6432
    pool_size: int | None = None


def parse_user(name: str, text: str) -> User:
    """The user of one line. Raises ConfigError."""
    pairs = Pairs(text, USER_KEYS)
    return User(
        name=name,
        pool_mode=pairs.get("pool_mode", kinds.POOL_MODE),
        pool_size=pairs.get("pool_size", kinds.NUMBER),
        reserve_pool_size=pairs.get("reserve_pool_size", kinds.NUMBER),
        max_user_connections=pairs.get("max_user_connections", kinds.NUMBER),
        max_user_client_connections=pairs.get("max_user_client_connections", kinds.NUMBER),
        query_timeout=pairs.get("query_timeout", kinds.SECONDS),
        idle_transaction_timeout=pairs.get("idle_transaction_timeout", kinds.SECONDS),
        transaction_timeout=pairs.get("transaction_timeout", kinds.SECONDS),
        client_idle_timeout=pairs.get("client_idle_timeout", kinds.SECONDS),
        query_wait_timeout=pairs.get("query_wait_timeout", kinds.SECONDS),
    )


def parse_peer(name: str, text: str) -> Peer:
    """The peer of one line. Raises ConfigError."""
    number = kinds.NUMBER.parse("the id of a peer", name)
    pairs = Pairs(text, PEER_KEYS)
    host = pairs.text("host")
    if number == 0 or host is None:
        raise ConfigError("a peer needs an id above 0 and a host", hint="1 = host=/tmp/first")
    port = pairs.get("port", kinds.PORT)
    return Peer(
        id=number,
        host=host,
        port=6432 if port is None else port,
        pool_size=pairs.get("pool_size", kinds.NUMBER),
    )
