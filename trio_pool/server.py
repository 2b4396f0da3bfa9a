"""The whole pooler: one nursery that holds everything, and what all of it shares.

    serve
      ├─ the switchboard's turn: listeners, logins, and everything after them
      ├─ the janitor    ├─ signals
      ├─ a task per backend being opened, per step of a login that has to wait
      └─ a task per client: parked until the end of its session (trio_pool.newcomers: when from)

Stopping nests: no new clients first, then every client at its next transaction boundary, then
the rest of the nursery.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import attrs
import trio

from protocol.scram import ScramVerifier
from protocol.sql.classify import Classifier
from protocol.startup import MINOR_OF_LONG_KEYS, CancelRequest
from protocol.stored_secrets import Secret
from trio_pool.admin.desk import Visit, Visitor
from trio_pool.admin.desk import attend as attend_console
from trio_pool.admin.operations import Operations
from trio_pool.admin.signals import obey_signals
from trio_pool.admin.statistics import Books, keep_books
from trio_pool.adversary import adversary_of
from trio_pool.cancel import Target, aim, insist, shoot
from trio_pool.card import Card, Cards
from trio_pool.conduct import Hasher
from trio_pool.config import Config
from trio_pool.credentials import auth_method, method_for_strangers, server_login
from trio_pool.errors import ClientsExceeded, DatabaseDisabled, ShuttingDown
from trio_pool.farewell import dismiss, part_with
from trio_pool.handover import Channel
from trio_pool.hooks import NO_HOOKS, Hooks
from trio_pool.janitor import keep_time
from trio_pool.judges import Judges, require_judges
from trio_pool.listener import (
    Address,
    Entrance,
    addresses_of,
    adopt,
    forget_files,
    open_listeners,
)
from trio_pool.login import Arrival, Lobby, Login
from trio_pool.lookup import Lookups
from trio_pool.metrics import Census
from trio_pool.monitor import Monitor
from trio_pool.newcomers import Newcomers
from trio_pool.offenders import Offenders
from trio_pool.opening import Opener
from trio_pool.origin import Origin
from trio_pool.passages import Passages
from trio_pool.peers import Messenger, new_number, peer_of
from trio_pool.pool import Caps, Pool
from trio_pool.relay import Counters, Relay
from trio_pool.resolver import Resolver
from trio_pool.session import Session
from trio_pool.statements import ClientStatements
from trio_pool.switchboard import Switchboard
from trio_pool.tls_settings import encryption_of
from trio_pool.web.extra import require_http
from trio_pool.wire import NOBODY, Socket, as_stream

log = logging.getLogger(__name__)

_CLASSIFIER_BYTES = 4_194_304
# Limit: cancel requests that are being carried out at once.
_CANCELS_MAX = 64


@attrs.frozen(eq=False)
class Serving:
    """What `serve` has started: where it listens, what it counts, and how to stop it."""

    addresses: tuple[Address, ...]
    server: Server = attrs.field(repr=False)

    @property
    def counters(self) -> Counters:
        """What all relays have counted together."""
        return self.server.counters

    def stop(self) -> None:
        """Take no new clients and end each at its next transaction boundary."""
        self.server.drain()


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
        self.listeners: list[socket.socket] = []
        # Another process serves in our place: the socket files are its own.
        self.succeeded = False
        # How RELOAD comes by a new configuration; None when there is nothing to read.
        self.read_config = read_config
        require_judges(config)
        self.auth_method = auth_method(config.settings.auth_type)
        self.method_for_strangers = method_for_strangers(config)
        self.encryption = encryption_of(config.settings)
        self.switchboard = switchboard
        self.hasher = Hasher()
        self.judges = Judges()
        self.operations = Operations(self)
        self.books = Books(trio.current_time())
        self.census = Census()
        self.caps = Caps()
        # Clients of the console, by the first half of their cancel keys.
        self.visits: dict[int, Visit] = {}
        self.classifier = Classifier(_CLASSIFIER_BYTES)
        self.mock_key = secrets.token_bytes(32)
        self.verifiers: dict[bytes, tuple[bytes, Secret | ScramVerifier]] = {}
        self.pools: dict[tuple[str, str], Pool] = {}
        # By the process number that a cancel request names.
        self.sessions: dict[int, Session] = {}
        self.draining = False
        self.lobby, self.offenders = Lobby(), Offenders()
        self.cards = Cards()
        self.newcomers = Newcomers(self)
        # No new clients are taken, and the end is near.
        self.stopping = False
        self.entrances, self._channels = contextlib.ExitStack(), contextlib.ExitStack()
        self.drained = trio.Event()
        self.clients = 0
        self._nursery = nursery
        self.messenger = Messenger()
        self.resolver = Resolver(self._has_moved)
        self.lookups = Lookups(self.hasher, self.resolver)
        self._opener = Opener(self.switchboard, self.hasher)
        self.passages = Passages(self, self._opener)
        self._cancels = trio.CapacityLimiter(_CANCELS_MAX)
        # Where metrics are.
        self.http_addresses: tuple[tuple[str, int], ...] = ()
        self._numbers = 0
        self._turning = trio.CancelScope()
        self._moving = trio.Event()
        self._moving.set()

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
            lambda pool: self._nursery.start_soon(self._opener.open, pool),
            trio.current_time(),
        )
        pool.encryption = self.encryption
        pool.adversary = self.adversary
        pool.clock, pool.resolver = self.switchboard.clock, self.resolver
        pool.statistics = self.books.of(name)
        pool.paused = self.operations.holds(name)
        self.pools[(name, login.user)] = pool
        return pool

    def _has_moved(self, host: str, addresses: tuple[str, ...]) -> None:
        for pool in self.pools.values():
            pool.leave(host, addresses)

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
            or pid in self.visits
            or pid in self.passages
        ):
            pass
        return pid, secrets.token_bytes(size)

    def drain(self) -> None:
        """Stop taking clients; end each at its next transaction boundary, and then stop."""
        self.drain_sessions()
        self.stop_when_empty()

    def drain_sessions(self) -> None:
        """The same, without the stop that follows when no client is here."""
        self.draining = True
        self.close_entrance()
        for session in list(self.sessions.values()):
            session.drain(ShuttingDown())
        # A stream has no boundary at which it could end, and may go on for ever.
        self.passages.end_all(ShuttingDown())

    def close_entrance(self) -> None:
        """Stop taking clients; who comes now is refused, or served by a successor."""
        if not self.stopping:
            self.origin.manager.stopping()
        self.stopping = True
        self.entrances.close()

    def stop_when_empty(self) -> None:
        """Take no clients, and stop when those that are here have left."""
        self.close_entrance()
        self._stop_if_empty()

    def _stop_if_empty(self) -> None:
        """The end, if it was asked for and nobody needs us any more.

        Cancel requests for a predecessor's clients come by us: it ends first, unless we hurry.
        """
        predecessor = self.origin.predecessor
        needed = predecessor is not None and not predecessor.gone and not self.draining
        if self.stopping and not self.clients and not needed:
            self.drained.set()

    async def see_off_predecessor(self) -> None:
        """Serve in the place of another process, and wait for its end."""
        if self.origin.predecessor is not None:
            await self.origin.predecessor.see_off()
            self._stop_if_empty()

    def stop_now(self) -> None:
        """Stop in the middle of whatever is going on."""
        self._nursery.cancel_scope.cancel()

    def open_entrance(self, sock: socket.socket) -> None:
        """Take clients from a listening socket, until `close_entrance`."""
        self.listeners.append(sock)
        entrance = Entrance(sock, self.switchboard, self.admit, self.start_soon)
        self.entrances.callback(sock.close)
        self.entrances.callback(self._take_rest, entrance)
        self.entrances.callback(entrance.close)

    def _take_rest(self, entrance: Entrance) -> None:
        if not self.succeeded:
            entrance.take_rest()

    def forget_files(self, addresses: tuple[Address, ...]) -> None:
        """Remove the socket files, if nobody else listens there."""
        if not self.succeeded and not self.origin.sockets:
            forget_files(addresses)

    def open_channel(self) -> Channel:
        """Where a successor has cancel requests for our clients carried out."""
        channel = Channel(self.switchboard, self.admit)
        self._channels.callback(channel.close)
        return channel

    def close_channels(self) -> None:
        """The end: whoever took our place has all clients now."""
        self._channels.close()

    @property
    def consoles(self) -> int:
        """How many clients the console has."""
        return len(self.visits)

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

    async def turn(self) -> None:
        """Turn the switchboard, but for the time between `hold_still` and `go_on`."""
        while True:
            await self._moving.wait()
            with self._turning:
                await self.switchboard.run()

    def hold_still(self) -> None:
        """Read and send nothing for any client or server; consoles go on."""
        self._moving = trio.Event()
        self._turning.cancel()
        self._turning = trio.CancelScope()

    def go_on(self) -> None:
        """The end of `hold_still`."""
        self._moving.set()

    def nothing_unsent(self) -> bool:
        """Every byte that was received has been sent on."""
        wires = [session.wire for session in self.sessions.values()]
        for pool in self.pools.values():
            wires += [backend.wire for backend in pool.backends]
        for passage in self.passages:
            wires += [passage.client.wire, passage.server.wire]
        return not any(wire.sending for wire in wires)

    def admit(self, sock: socket.socket) -> None:
        """A client has connected; from here on it is one of `clients` until it is gone."""
        self.lobby.enter(Login(self, sock))
        self.clients += 1

    def tend_arrivals(self, now: float) -> None:
        """Clients that have come lately: those who stay get their task, and the logins that
        have taken too long end (janitor).
        """
        self.newcomers.settle()
        timeout = self.config.settings.client_login_timeout
        if timeout:
            self.lobby.expire(now - timeout)

    def client_left(self) -> None:
        """One of `clients` is gone."""
        self.clients -= 1
        self._stop_if_empty()

    def start_soon(self, work: Callable[[*Given], Awaitable[None]], *given: *Given) -> None:
        """Have a task of the whole pooler's nursery do what a sweep cannot wait for."""
        self._nursery.start_soon(work, *given)

    def start_cancel(self, sock: Socket, request: CancelRequest) -> None:
        """Carry out a cancel request; whoever sent it sees us close when that is done."""
        # Why at once: the pool may be stopped, and the session be gone, before the task runs.
        target = aim(self._session_of(request))
        self._nursery.start_soon(self._cancel, sock, request, target)

    def start_farewell(self, sock: Socket, words: bytes) -> None:
        """Tell a client that will not be logged in why."""
        self._nursery.start_soon(self._dismiss, sock, words)

    def start_console(
        self, sock: Socket, words: bytes, who: Visitor, key: tuple[int, bytes], rest: bytes
    ) -> None:
        """Serve a client of the console; it counts among `clients` no longer."""
        self.client_left()
        visit = self.visits[key[0]] = Visit(who, key[1])
        self._nursery.start_soon(self._console, sock, words, visit, key[0], rest)

    async def _console(
        self, sock: Socket, words: bytes, visit: Visit, pid: int, rest: bytes
    ) -> None:
        try:
            async with as_stream(sock) as stream:
                await attend_console(self, stream, words, visit, rest)
        except Exception:
            log.exception("a console failed")
        finally:
            del self.visits[pid]

    async def _cancel(self, sock: Socket, request: CancelRequest, target: Target | None) -> None:
        # The query may have come in the same sweep as the request, and been read after it.
        target = target or aim(self._session_of(request))
        visit = self.visits.get(request.pid)
        timeout = self.config.settings.cancel_wait_timeout
        try:
            if visit is not None:
                visit.interrupt(request.key)
            if target is not None:
                await self._shoot(target, timeout)
            async with as_stream(sock):
                peer = peer_of(request.pid, self.config.settings.peer_id, self.config.peers)
                predecessor = self.origin.predecessor
                if peer is not None:
                    async with self._cancels:
                        await self.messenger.pass_on(request, peer, timeout)
                elif request.pid in self.passages:
                    async with self._cancels:
                        await self.passages.cancel(request, timeout)
                elif predecessor and visit is None and request.pid not in self.sessions:
                    async with self._cancels:
                        await predecessor.pass_on(request, timeout)
        finally:
            self.client_left()

    async def _shoot(self, target: Target, seconds_max: float) -> None:
        # Why shielded: what a client has asked for is done although the pool is being stopped;
        # a query that nobody waits for would go on for ever.
        with trio.CancelScope(shield=True):
            async with self._cancels:
                await shoot(target.backend, seconds_max)
        if target.recent:
            self._nursery.start_soon(insist, target, seconds_max)

    async def _dismiss(self, sock: Socket, words: bytes) -> None:
        try:
            await dismiss(sock, words)
        finally:
            self.client_left()

    def _session_of(self, request: CancelRequest) -> Session | None:
        session = self.sessions.get(request.pid)
        if session is None or not hmac.compare_digest(session.cancel_key, request.key):
            return None
        return session

    def seat(self, arrival: Arrival) -> None:
        """Begin the session of a client that has been told it is ready."""
        pool, (pid, key) = arrival.pool, arrival.key
        relay = Relay(
            ClientStatements(self.config.settings.max_client_prepared_bytes),
            arrival.settings,
            pool.statements,
            self.classifier,
            pool.statistics.counters,
        )
        relay.process = pid.to_bytes(4, "big")
        session = Session(self.new_number(), pool, relay, arrival.wire, key)
        card = arrival.card
        session.user = card.user
        self.census.count(card.database, card.user, +1)
        self.sessions[pid] = session
        if self.config.settings.log_connections:
            log.info(
                "client connected session=%d database=%r user=%r",
                session.number,
                card.database,
                card.user,
            )
        if self.hooks is not None or self.adversary is not None:
            arrival.wire.turn = Monitor(session, self.hooks or NO_HOOKS, self.adversary)
        self.newcomers.enter(session, pid)
        if self.draining:
            session.drain(ShuttingDown())
        if arrival.rest:
            arrival.wire.turn.on_bytes(arrival.rest)

    def new_number(self) -> int:
        """The number of another client."""
        self._numbers += 1
        return self._numbers

    def start_client(self, session: Session, pid: int) -> None:
        """Start the client's task, which is there until the client is gone."""
        self._nursery.start_soon(self._attend, session, pid, name="client")

    async def _attend(self, session: Session, pid: int) -> None:
        """The client's task: park until the session ends; every way out gives back what it held."""
        try:
            await session.ended.wait()
        finally:
            session.end(ShuttingDown())
            self.forget(session, pid)
            try:
                await part_with(session)
            except Exception:
                log.exception("a client's task failed session=%d", session.number)
            finally:
                # Session and wire know each other: parted, they are freed at once.
                session.wire.turn = NOBODY
                self.client_left()

    def forget(self, session: Session, pid: int) -> None:
        """The session has ended: nobody can find it any more, and what it moved is counted."""
        del self.sessions[pid]
        statistics = session.pool.statistics
        statistics.received += session.wire.received
        statistics.sent += session.wire.sent
        self.census.count(session.pool.database.name, session.user, -1)


Given = TypeVarTuple("Given")


async def serve(
    config: Config,
    *,
    signals: bool = False,
    read_config: Callable[[], Config] | None = None,
    dedicated: bool = False,
    hooks: Hooks | None = None,
    origin: Origin | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `config` until cancelled or drained; started with a `Serving`.

    With `signals`, those of PgBouncer are obeyed (trio_pool.admin.signals). `read_config` is
    what RELOAD and SIGHUP call, in a thread, for a new configuration; it may raise ConfigError.
    With `dedicated` the pool expects to be alone in this Trio run: it is faster at that, and may
    keep other tasks waiting for a millisecond or two. `hooks` are the embedding program's. `origin`
    is for a process that a service manager has started, or that takes the place of another one.
    Raises OSError when an address cannot be bound, and Endings for a configuration that cannot
    be served; ConfigError when it wants a package that is not installed.
    """
    require_http(config.settings)
    switchboard = Switchboard(dedicated)
    with contextlib.ExitStack() as stack:
        stack.callback(switchboard.close)
        async with trio.open_nursery() as nursery:
            server = Server(config, nursery, switchboard, read_config, hooks, origin)
            # Why behind all tasks: one more sweep may come after the closing below.
            stack.callback(server.lobby.close)
            stack.callback(server.newcomers.close)
            if signals:
                nursery.start_soon(obey_signals, server)
            try:
                await _serve(server, nursery, task_status)
            finally:
                server.close_channels()
                server.lobby.close()
                server.newcomers.settle()
                with trio.CancelScope(shield=True):
                    await server.lookups.close()
                for pool in server.pools.values():
                    pool.close()
            nursery.cancel_scope.cancel()


async def _serve(
    server: Server, nursery: trio.Nursery, task_status: trio.TaskStatus[Serving]
) -> None:
    origin, settings = server.origin, server.config.settings
    given = origin.predecessor.sockets if origin.predecessor else origin.sockets
    listeners = adopt(given, settings) if given else await open_listeners(settings)
    addresses = addresses_of(listeners)
    server.entrances.callback(server.forget_files, addresses)
    for listener in listeners:
        server.open_entrance(listener)
    try:
        nursery.start_soon(server.turn)
        nursery.start_soon(keep_books, server)
        nursery.start_soon(keep_time, server.pools, server.sessions, server.tend_arrivals)
        if settings.http_listen_addr:
            await _start_http(server, nursery)
        task_status.started(Serving(addresses, server))
        origin.manager.ready()
        if origin.manager.watchdog_seconds:
            nursery.start_soon(origin.manager.keep_watched)
        nursery.start_soon(server.see_off_predecessor)
        await server.drained.wait()
    finally:
        server.entrances.close()


async def _start_http(server: Server, nursery: trio.Nursery) -> None:
    from trio_pool.web.service import serve_http

    if server.origin.predecessor is None:
        await nursery.start(serve_http, server)
    else:
        # It has the address until it is told that we serve, and goes on with its clients.
        nursery.start_soon(functools.partial(serve_http, server, patient=True))
