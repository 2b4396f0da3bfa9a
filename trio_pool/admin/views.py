"""The tables about what is configured and how the pooler is: one function each.

Every function returns rows for the layout of the same name (trio_pool.console.tables). What
has no counterpart here (slabs, DNS zones) is an empty table: tools read the columns.
"""

from __future__ import annotations

import importlib.metadata
import os
import resource
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.config import CONSOLE, FALLBACK, SETTINGS, Database, LoadBalance, User
from trio_pool.config.ldap_options import without_password
from trio_pool.console.answer import Value
from trio_pool.console.driver_talk import PRODUCT

if TYPE_CHECKING:
    from trio_pool.server import Server


Row = tuple[Value, ...]
View = Callable[["Server"], Iterable[Row]]


def nothing(server: Server) -> Iterable[Row]:
    """A table that is always empty here."""
    return ()


def databases(server: Server) -> Iterable[Row]:
    """The configured databases, those the fallback stands for at present, and the console."""
    found = dict(server.config.databases)
    for name, _ in server.pools:
        database = server.config.database(name)
        if database is not None:
            found.setdefault(name, database)
    for name, database in found.items():
        if name != FALLBACK:
            yield _database(server, name, database)
    settings = server.config.settings
    lifetime = int(settings.server_lifetime)
    yield (
        *(CONSOLE, None, settings.listen_port, CONSOLE, CONSOLE, 2, 0, 0, lifetime),
        *("statement", None, settings.max_db_connections, 0, 0, len(server.consoles), 0, 0),
    )


def _database(server: Server, name: str, database: Database) -> Row:
    settings, operations = server.config.settings, server.operations
    limits = server.config.limits(database, "")
    client_limit = database.max_db_client_connections
    clients = server.census.of_database(name)
    return (
        name,
        database.host,
        database.port,
        database.dbname,
        database.user,
        limits.pool_size,
        limits.min_pool_size,
        limits.reserve_pool_size,
        int(limits.server_lifetime),
        database.pool_mode.value if database.pool_mode else None,
        balance(database),
        limits.max_db_connections,
        server.caps.by_database.get(name, 0),
        settings.max_db_client_connections if client_limit is None else client_limit,
        clients,
        int(name in operations.paused),
        int(name in operations.disabled),
    )


def balance(database: Database) -> str | None:
    """How its hosts share the work; None when there is one."""
    if len(database.hosts) == 1:
        return None
    chosen = database.load_balance_hosts or LoadBalance.ROUND_ROBIN
    return str(chosen.value)


def users(server: Server) -> Iterable[Row]:
    """Everybody with a secret or a line of their own, and whoever has a pool."""
    config = server.config
    names = dict.fromkeys([*config.secrets, *config.users, *(user for _, user in server.pools)])
    settings = config.settings
    for name in names:
        own = config.users.get(name) or User(name=name)
        most, clients = own.max_user_connections, own.max_user_client_connections
        yield (
            name,
            _padded(own.pool_size),
            _padded(own.reserve_pool_size),
            own.pool_mode.value if own.pool_mode else None,
            settings.max_user_connections if most is None else most,
            server.caps.by_user.get(name, 0),
            settings.max_user_client_connections if clients is None else clients,
            server.census.of_user(name),
        )


def _padded(number: int | None) -> str:
    return "" if number is None else f"{number:9d}"


def lists(server: Server) -> Iterable[Row]:
    """How many of everything there are."""
    backends = sum(len(pool.backends) + pool.opening for pool in server.pools.values())
    passages = len(server.passages)
    counts = {
        "databases": sum(1 for _ in databases(server)),
        "users": sum(1 for _ in users(server)),
        "peers": len(server.config.peers),
        "pools": len(server.pools) + 1,
        "peer_pools": len(server.config.peers),
        "free_clients": 0,
        "used_clients": len(server.sessions) + len(server.consoles) + passages,
        "login_clients": len(server.lobby),
        "free_servers": 0,
        "used_servers": backends + passages,
        "dns_names": len(server.resolver.known),
        "dns_zones": 0,
        "dns_queries": 0,
        "dns_pending": len(server.resolver.pending),
    }
    return counts.items()


def config(server: Server) -> Iterable[Row]:
    """Every setting: as it is, as it would be, and whether RELOAD and SET change it."""
    texts = server.config.settings.texts
    for name in sorted(SETTINGS):
        setting = SETTINGS[name]
        value = without_password(texts.get(name, setting.default))
        yield (name, value, setting.default, "yes" if setting.reloadable else "no")


def memory(server: Server) -> Iterable[Row]:
    """What of it can be counted without walking through all objects."""
    statements = sum(session.relay.client.bytes_held for session in list(server.sessions.values()))
    unsent = sum(session.wire.unsent_bytes for session in list(server.sessions.values()))
    clients = len(server.sessions)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield ("client_statements", 1, statements, 0, statements)
    yield ("client_unsent", 1, unsent, 0, unsent)
    yield ("client_cache", 0, clients, 0, 0)
    yield ("resident_max", 1, resident, 0, resident)


def names(server: Server) -> Iterable[Row]:
    """The servers' names that were looked up, how long that holds, and where they are."""
    now = trio.current_time()
    for name, known in server.resolver.known.items():
        yield (name, max(0, int(known.until - now)), ",".join(known.addresses))


def peers(server: Server) -> Iterable[Row]:
    """The neighbours that cancel requests are passed on to."""
    general = server.config.settings.default_pool_size
    for peer in server.config.peers.values():
        yield (peer.id, peer.host, peer.port, general if peer.pool_size is None else peer.pool_size)


def peer_pools(server: Server) -> Iterable[Row]:
    """Cancel requests on their way to each neighbour."""
    for number in server.config.peers:
        under_way = server.cancels.messenger.under_way.get(number, 0)
        yield (number, under_way, 0, under_way, 0)


def state(server: Server) -> Iterable[Row]:
    """Whether everything is held up."""
    paused, suspended = server.operations.paused_all, server.operations.suspended
    yield ("active", "no" if paused or suspended else "yes")
    yield ("paused", "yes" if paused else "no")
    yield ("suspended", "yes" if suspended else "no")


def version(server: Server) -> Iterable[Row]:
    """What tools take us for: they read the digits, and the name."""
    yield (PRODUCT,)


def trio_pool(server: Server) -> Iterable[Row]:
    """Who we really are, and figures that PgBouncer has no table for."""
    counters = server.counters
    yield ("version", importlib.metadata.version("trio-pool"))
    yield ("python", sys.version.split()[0])
    yield ("pid", str(os.getpid()))
    for name in counters.NAMES:
        yield (name, str(getattr(counters, name)))
    statements = sum(len(pool.statements) for pool in server.pools.values())
    yield ("shared_statements", str(statements))


VIEWS: Final[dict[str, View]] = {
    "CONFIG": config,
    "DATABASES": databases,
    "DNS_HOSTS": names,
    "DNS_ZONES": nothing,
    "LISTS": lists,
    "MEM": memory,
    "PEERS": peers,
    "PEER_POOLS": peer_pools,
    "STATE": state,
    "TRIO_POOL": trio_pool,
    "USERS": users,
    "VERSION": version,
}
