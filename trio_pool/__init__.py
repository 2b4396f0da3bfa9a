"""A PostgreSQL transaction pooler that no client notices: the map.

Nouns. A *client* is an application's connection; a *session* is our task tree for it. A
*server* is a PostgreSQL instance; a *backend* is one of our connections to it. A *pool* holds
the backends of one database and user and lends them; a *lease* is a session holding one, for a
transaction. A *wire* is a socket on the *switchboard*; a *chunk* is what one read returned; a
*frame* is one message as offsets in it. A *statement* is what a client prepared; the *pipeline*
is the ledger of replies that a backend owes; the *relay* edits bytes between two peers.

Three rings; imports point inwards only (tests/test_layering.py):

    shell       cli command under init check migrate demo proof probe process logs journal embedded/
                opened threaded beside_asyncio hooks monitor leftovers adversary
                daemon systemd syslog takeover handover origin (a pool as a process)
                pytest_plugin testing/
                server/ listener login/ card trial newcomers farewell session/ absence pool/ ear/
                backend errand opening conduct cancel passage passages janitor wire switchboard
                poller bustle tls tls_settings lookup judges pam ldap interfaces resolver offenders
                peers admin/ conform/ web/ terminal/
    decisions   relay/ statements settings/ channels customs functions watch shapes pins config/
                console/ credentials errors metrics counting access dependence overheard
                web.exposition terminal.layout terminal.completion
    protocol/   a package of its own: PostgreSQL's messages, no I/O

Laws, each kept where it binds:

1. Ask and remember in one breath: bytes are put and their ledger entry made without an await
   between (relay, pool).
2. No decision survives an await: read the state again afterwards (pool, session).
3. Fitness is read off the ledger, the transaction status and the wire; there are no flags that
   remember (protocol.pipeline, Relay.releasable).
4. Every byte received is relayed, replaced, or dropped on purpose (relay.state).
5. The guilty party is closed, the other is told, the pooler lives (session, backend, server).
6. Everything has a limit, and the limit has a name in the configuration (config.table).
7. Only the relay edits bytes between two peers; only the pipeline knows what is owed; only the
   tracker (statements) names statements; only wire and switchboard touch sockets.

Reading order: protocol.pipeline (what is owed), trio_pool.statements (who has prepared what),
trio_pool.relay (what becomes of each message), trio_pool.session and trio_pool.pool (who holds
which backend), trio_pool.switchboard (how it all turns), trio_pool.server (what owns it).
"""

import importlib
from typing import TYPE_CHECKING, Final

from protocol import form

if TYPE_CHECKING:
    from trio_pool.access import Access
    from trio_pool.admin.operations import OrderRefused
    from trio_pool.beside_asyncio import PoolBeside, pool_beside_asyncio
    from trio_pool.config import Config, ConfigError, config_from_url, load_config
    from trio_pool.dependence import Dependence
    from trio_pool.errors import Refused
    from trio_pool.hooks import Client, Hooks
    from trio_pool.leftovers import Leftover
    from trio_pool.opened import OpenPool, Stats, open_pool
    from trio_pool.threaded import ThreadedPool, pool_in_thread

__all__ = [
    "Access",
    "Client",
    "Config",
    "ConfigError",
    "Dependence",
    "Hooks",
    "Leftover",
    "OpenPool",
    "OrderRefused",
    "PoolBeside",
    "Refused",
    "Stats",
    "ThreadedPool",
    "config_from_url",
    "load_config",
    "open_pool",
    "pool_beside_asyncio",
    "pool_in_thread",
]

# Where each of these names is. Why not imported: a program that wants a URL parsed, or the
# help of a command, must not wait for Trio.
_HOMES: Final = {
    "access": ("Access",),
    "admin.operations": ("OrderRefused",),
    "beside_asyncio": ("PoolBeside", "pool_beside_asyncio"),
    "config": ("Config", "ConfigError", "config_from_url", "load_config"),
    "dependence": ("Dependence",),
    "errors": ("Refused",),
    "hooks": ("Client", "Hooks"),
    "leftovers": ("Leftover",),
    "opened": ("OpenPool", "Stats", "open_pool"),
    "threaded": ("ThreadedPool", "pool_in_thread"),
}

# Before anything else of the package is imported.
form.prefer_sources(__path__)


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(importlib.import_module(f"trio_pool.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
