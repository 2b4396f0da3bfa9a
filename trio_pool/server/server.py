"""What all sessions share, and the pools that serve them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final, TypeVarTuple

import trio

from protocol.scram import ScramVerifier
from protocol.sql.classify import Classifier
from protocol.startup import MINOR_OF_LONG_KEYS
from protocol.stored_secrets import Secret
from trio_pool.admin.operations import Operations
from trio_pool.admin.statistics import Books
from trio_pool.adversary import adversary_of
from trio_pool.card import Card, Cards
from trio_pool.conduct import Hasher
from trio_pool.config import Config
from trio_pool.credentials import auth_method, method_for_strangers, server_login
from trio_pool.errors import ClientsExceeded, DatabaseDisabled
from trio_pool.hooks import Hooks
from trio_pool.judges import Judges, require_judges
from trio_pool.login import Lobby
from trio_pool.lookup import Lookups
from trio_pool.metrics import Census
from trio_pool.newcomers import Newcomers
from trio_pool.offenders import Offenders
from trio_pool.opening import Opener
from trio_pool.origin import Origin
from trio_pool.passages import Passages
from trio_pool.peers import new_number
from trio_pool.pool import Caps, Pool, closing
from trio_pool.relay import Counters
from trio_pool.resolver import Resolver
from trio_pool.server.cancels import Cancels
from trio_pool.server.clients import Clients
from trio_pool.server.consoles import Consoles
from trio_pool.server.entrances import Entrances
from trio_pool.server.shutdown import Shutdown
from trio_pool.server.suspension import Suspension
from trio_pool.server.vacating import Vacating
from trio_pool.session import Session
from trio_pool.switchboard import Switchboard
from trio_pool.tls_settings import encryption_of

_CLASSIFIER_BYTES: Final = 4_194_304
Given = TypeVarTuple("Given")


class Server:
    """What all sessions share."""

    def __init__(
        self,
        config: Config,
        nursery: trio.Nursery,
        switchboard: Switchboard,
        read_config: Callable[[], Config] | None = None,
        hooks: Hooks | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.config = config
        # What the embedding program wants to be called for; None: nothing.
        self.hooks = hooks
        self.adversary = adversary_of(config.settings)
        self.origin = origin or Origin()
        # How RELOAD comes by a new configuration; None when there is nothing to read.
        self.read_config = read_config
        require_judges(config)
        self.auth_method = auth_method(config.settings.auth_type)
        self.method_for_strangers = method_for_strangers(config)
        self.encryption = encryption_of(config.settings)
        self.nursery, self.switchboard = nursery, switchboard
        self.hasher, self.judges = Hasher(), Judges()
        self.books, self.census, self.caps = Books(trio.current_time()), Census(), Caps()
        self.classifier = Classifier(_CLASSIFIER_BYTES)
        self.mock_key = secrets.token_bytes(32)
        self.verifiers: dict[bytes, tuple[bytes, Secret | ScramVerifier]] = {}
        self.pools: dict[tuple[str, str], Pool] = {}
        # By the process number that a cancel request names.
        self.sessions: dict[int, Session] = {}
        self.resolver = Resolver(self._has_moved)
        self.lookups = Lookups(self.hasher, self.resolver)
        self._opener = Opener(self.switchboard, self.hasher)
        # Where metrics are.
        self.http_addresses: tuple[tuple[str, int], ...] = ()
        # Those who come.
        self.entrances, self.clients = Entrances(self), Clients(self)
        self.lobby, self.offenders, self.cards = Lobby(), Offenders(), Cards()
        self.newcomers, self.passages = Newcomers(self), Passages(self, self._opener)
        self.cancels, self.consoles = Cancels(self), Consoles(self)
        # What an operator does to all of them.
        self.operations = Operations(self)
        self.suspension, self.shutdown = Suspension(self), Shutdown(self)

    @property
    def counters(self) -> Counters:
        """What all relays have counted together."""
        total = Counters()
        for statistics in self.books.by_database.values():
            total.add(statistics.counters)
        return total

    def pool_for(self, card: Card) -> Pool | None:
        """The pool that serves a client with this card; None when there is no such database.

        Raises DatabaseDisabled.
        """
        if card.database in self.operations.disabled:
            raise DatabaseDisabled(f'database "{card.database}" is disabled')
        if card.place is None:
            return None
        return self.pools.get(card.place) or self._new_pool(*card.place)

    def _new_pool(self, name: str, user: str) -> Pool:
        database = self.config.database(name)
        assert database is not None
        login = server_login(self.config, database, user)
        pool = Pool(
            database,
            login.user,
            self.config.limits(database, login.user),
            self.config.settings,
            login,
            self.caps,
            lambda pool: self.start_soon(self._opener.open, pool),
            trio.current_time(),
        )
        pool.encryption = self.encryption
        pool.adversary = self.adversary
        pool.clock, pool.resolver = self.switchboard.clock, self.resolver
        pool.statistics = self.books.of(name)
        pool.statements.make_way = Vacating(self, pool).make_way
        pool.paused = self.operations.holds(name)
        self.pools[(name, login.user)] = pool
        return pool

    def _has_moved(self, host: str, addresses: tuple[str, ...]) -> None:
        for pool in self.pools.values():
            closing.leave(pool, host, addresses)

    def refuse_if_full(self, card: Card) -> None:
        """Raises ClientsExceeded when this database or user has all the clients it may have."""
        of_database, of_user = card.limits
        if of_database and self.census.of_database(card.database) >= of_database:
            raise ClientsExceeded("max_db_client_connections")
        if of_user and self.census.of_user(card.user) >= of_user:
            raise ClientsExceeded("max_user_client_connections")

    def new_cancel_key(self, minor: int) -> tuple[int, bytes]:
        """A key that is not in use: 4 bytes, or 32 where the protocol allows it."""
        size = 32 if minor >= MINOR_OF_LONG_KEYS else 4
        while (
            (pid := new_number(self.config.settings.peer_id)) in self.sessions
            or pid in self.consoles
            or pid in self.passages
        ):
            pass
        return pid, secrets.token_bytes(size)

    def forget_unused(self, now: float) -> None:
        """Forget pools of databases that only `*` stands for (autodb_idle_timeout)."""
        timeout = self.config.settings.autodb_idle_timeout
        for (name, user), pool in list(self.pools.items()):
            in_use = pool.backends or pool.opening or self.census.of_database(name)
            if in_use or name in self.config.databases:
                pool.used_at = now
            elif 0 < timeout <= now - pool.used_at:
                del self.pools[name, user]
                if not any(name == other for other, _ in self.pools):
                    del self.books.by_database[name]

    def start_soon(self, work: Callable[[*Given], Awaitable[None]], *given: *Given) -> None:
        """Have a task of the whole pooler's nursery do what a sweep cannot wait for."""
        self.nursery.start_soon(work, *given)
