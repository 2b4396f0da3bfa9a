"""The tables about connections: pools, clients, servers, and what they have prepared.

Addresses are asked of the sockets when somebody looks, so that a client that nobody looks at
costs nothing. A client that has just left has no address any more; its row says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.admin.views import Row, View, balance
from trio_pool.backend import Backend
from trio_pool.config import CONSOLE
from trio_pool.listener import addresses_of
from trio_pool.passage import OwnBackend, Passage
from trio_pool.pinned import pinned
from trio_pool.pool import Pool
from trio_pool.session import Session
from trio_pool.tls import TlsSocket
from trio_pool.wire import Wire, endpoints

if TYPE_CHECKING:
    from trio_pool.server import Server

_SQL_SHOWN_MAX: Final = 1_000


def pools(server: Server) -> Iterable[Row]:
    """One row per pool, and one for the console itself."""
    now = trio.current_time()
    clients: dict[Pool, list[Session]] = {}
    for session in server.sessions.values():
        clients.setdefault(session.pool, []).append(session)
    for pool in server.pools.values():
        alone = sum(1 for passage in server.passages if passage.pool is pool)
        yield _pool(pool, clients.get(pool, []), alone, now)
    yield (CONSOLE, CONSOLE, len(server.consoles), *([0] * 12), "statement", None)


def _pool(pool: Pool, sessions: list[Session], alone: int, now: float) -> Row:
    """`alone` are the replication clients, each with a backend of its own."""
    states = [state_of(backend, now) for backend in pool.backends]
    waiting = sum(1 for session in sessions if session.waiting_since)
    longest = now - pool.waiting[0].waiting_since if pool.waiting else 0.0
    seconds, micros = _split(longest)
    return (
        *(pool.database.name, pool.user, len(sessions) - waiting + alone, waiting),
        # Cancel requests have no clients of their own here: those at work are counted.
        *(sum(backend.cancels for backend in pool.backends), 0),
        states.count("active") + alone,
        sum(backend.cancels for backend in pool.backends),
        states.count("being_canceled"),
        *(states.count("idle"), states.count("used"), states.count("tested"), pool.opening),
        *(seconds, micros, pool.limits.pool_mode.value, balance(pool.database)),
    )


def state_of(backend: Backend, now: float) -> str:
    """PgBouncer's word for what a backend is doing: `tested` is any business of the pool's own."""
    if backend.cancels or backend.settling:
        return "being_canceled"
    if backend.holder is not None:
        return "active" if isinstance(backend.holder, Session) else "tested"
    return "used" if backend in backend.pool.unchecked else "idle"


def clients(server: Server) -> Iterable[Row]:
    """Everybody who has logged in."""
    for session in list(server.sessions.values()):
        yield _client(session, _client_state(session))
    for passage in server.passages:
        yield _passing_client(passage, "active")


def _client_state(session: Session) -> str:
    if session.waiting_since:
        return "waiting"
    return "active" if session.backend is not None else "idle"


def _client(session: Session, state: str) -> Row:
    name = session.relay.settings.values.get(b"application_name", b"")
    waited = session.pool.now - session.waiting_since if session.waiting_since else 0.0
    link = _pointer(session.backend) if session.backend is not None else ""
    return (
        *("C", session.user, session.pool.database.name, "none", state),
        *_addresses(session.wire),
        *(_clock(session.connected_at), _clock(session.active_at)),
        *(*_split(waited), 0, _pointer(session), link),
        *(0, _encryption(session.wire)),
        name.decode("utf-8", "replace"),
        *(len(session.relay.client.names), session.number),
    )


def servers(server: Server) -> Iterable[Row]:
    """Every backend."""
    now = trio.current_time()
    for pool in list(server.pools.values()):
        for backend in list(pool.backends):
            yield _server(backend, state_of(backend, now))
    for passage in server.passages:
        yield _passing_server(passage, "active")


def _server(backend: Backend, state: str) -> Row:
    holder, pool = backend.holder, backend.pool
    name = backend.state.settings.values.get(b"application_name", b"")
    link = _pointer(holder) if isinstance(holder, Session) else ""
    return (
        *("S", pool.user, pool.database.name, "none", state),
        *_addresses(backend.wire),
        *(_clock(backend.opened_at), _clock(max(backend.held_since, backend.opened_at))),
        *(0, 0, int(backend.state.spoiled is not None), _pointer(backend), link),
        *(backend.pid, _encryption(backend.wire)),
        name.decode("utf-8", "replace"),
        *(len(backend.state.statements.names), backend.number),
    )


def sockets(server: Server) -> Iterable[Row]:
    """Clients and servers with what is in their buffers."""
    now = trio.current_time()
    for session in list(server.sessions.values()):
        waiting = "cl_waiting" if session.waiting_since else "cl_active"
        yield _client(session, waiting) + _buffers(session.wire, session.relay.parts_bytes)
    for pool in list(server.pools.values()):
        for backend in list(pool.backends):
            state = f"sv_{state_of(backend, now)}"
            yield _server(backend, state) + _buffers(backend.wire, len(backend.state.partial))
    for passage in server.passages:
        yield _passing_client(passage, "cl_active") + _buffers(passage.client.wire, 0)
        yield _passing_server(passage, "sv_active") + _buffers(passage.server.wire, 0)


def _passing_client(passage: Passage, state: str) -> Row:
    return (
        *("C", passage.user, passage.pool.database.name, passage.kind.value, state),
        *_addresses(passage.client.wire),
        *(_clock(passage.connected_at), _clock(passage.active_at)),
        *(0, 0, 0, _pointer(passage), _pointer(passage.own)),
        *(0, _encryption(passage.client.wire)),
        passage.application_name.decode("utf-8", "replace"),
        *(0, passage.number),
    )


def _passing_server(passage: Passage, state: str) -> Row:
    own = passage.own
    return (
        *("S", own.pool.user, own.pool.database.name, passage.kind.value, state),
        *_addresses(passage.server.wire),
        *(_clock(passage.connected_at), _clock(passage.connected_at)),
        *(0, 0, 0, _pointer(own), _pointer(passage)),
        *(own.login.pid, _encryption(passage.server.wire)),
        passage.application_name.decode("utf-8", "replace"),
        *(0, own.number),
    )


def active_sockets(server: Server) -> Iterable[Row]:
    """Those of the same whose buffers are not empty."""
    return [row for row in sockets(server) if row[-1] or row[-2]]


def _buffers(wire: Wire, kept: int) -> Row:
    return (0, 0, 0, 0, wire.unsent_bytes, kept, wire.unsent_bytes)


def prepared(server: Server) -> Iterable[Row]:
    """Statements that are prepared on backends, and how many clients know each."""
    for pool in list(server.pools.values()):
        known: dict[object, int] = {}
        for session in server.sessions.values():
            if session.pool is pool:
                for statement in session.relay.client.names.values():
                    known[statement] = known.get(statement, 0) + 1
        for backend in list(pool.backends):
            for statement, name in list(backend.state.statements.names.items()):
                count = 0 if statement.parameters is None else len(statement.parameters)
                yield (
                    *(pool.database.name, pool.user, backend.number, name.decode()),
                    *(known.get(statement, 0), str(max(0, count - 2) // 4)),
                    statement.text[:_SQL_SHOWN_MAX].decode("utf-8", "replace"),
                )


def pins(server: Server) -> Iterable[Row]:
    """Clients that keep their backend between transactions, and why."""
    for pin in pinned(list(server.sessions.values())):
        yield (
            *(pin.database, pin.user, pin.session, pin.backend, pin.reason, _clock(pin.since)),
            *(max(0, int(trio.current_time() - pin.since)), pin.statement),
        )


def descriptors(server: Server) -> Iterable[Row]:
    """The listening sockets; clients and servers stay with the process that has them."""
    listeners = server.entrances.listeners
    for sock, address in zip(listeners, addresses_of(listeners), strict=True):
        place, port = address if isinstance(address, tuple) else ("unix", 0)
        yield (sock.fileno(), "pooler", None, None, place, port, 0, 0, *([None] * 7))


def channels(server: Server) -> Iterable[Row]:
    """What clients listen to that hold no backend, or have held none, and who does it for them."""
    for pool in list(server.pools.values()):
        ear = pool.ear
        if ear is not None:
            link = ear.link
            backend = None if link is None else link.backend
            number = None if backend is None else backend.number
            for channel in sorted(ear.register.channels):
                name = channel.decode("utf-8", "replace")
                count = ear.register.count(channel)
                yield (pool.database.name, pool.user, name, count, number)


def _addresses(wire: Wire) -> Row:
    """Remote address and port, local address and port."""
    remote, local = endpoints(wire.sock)
    return (*remote, *local)


def _encryption(wire: Wire) -> str:
    return wire.sock.version if isinstance(wire.sock, TlsSocket) else ""


def _pointer(thing: Session | Backend | Passage | OwnBackend) -> str:
    # Why a bit: a client and a server must never look the same.
    return f"0x{thing.number << 1 | isinstance(thing, Backend | OwnBackend):08x}"


def _split(seconds: float) -> tuple[int, int]:
    micros = int(seconds * 1_000_000)
    return micros // 1_000_000, micros % 1_000_000


def _clock(moment: float) -> str:
    """Trio's time as the clock on the wall, in the form that tools parse."""
    wall = time.time() - trio.current_time() + moment
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(wall))


VIEWS: Final[dict[str, View]] = {
    "ACTIVE_SOCKETS": active_sockets,
    "CHANNELS": channels,
    "CLIENTS": clients,
    "FDS": descriptors,
    "PINS": pins,
    "POOLS": pools,
    "PREPARED": prepared,
    "SERVERS": servers,
    "SOCKETS": sockets,
}
