"""The pool as the dashboard draws it: one picture a second, made once for all who look.

Without a login there are names of databases and users, and numbers. Texts of statements, what is
pinned and what is configured differently are for those who have logged in; values that clients
have set, and everything secret, are for nobody.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.admin.sockets import state_of
from trio_pool.admin.statistics import totals
from trio_pool.backend import Backend
from trio_pool.config import SETTINGS
from trio_pool.metrics import Figures
from trio_pool.pool import Pool
from trio_pool.session import Session
from trio_pool.statements import Statement
from trio_pool.web.clock import Clock
from trio_pool.web.figures import records

if TYPE_CHECKING:
    from trio_pool.server import Server

Json = dict[str, object]

PERIOD_SECONDS: Final = 1.0
# Limits: what is drawn of each kind.
_POOLS_MAX: Final = 40
_BACKENDS_MAX: Final = 100
_WAITING_MAX: Final = 100
_ROWS_MAX: Final = 50
_TEXT_MAX: Final = 200
_UTF8_BYTES_MAX: Final = 4
# Settings whose values lead to secrets, or are texts for a server.
_UNSHOWN: Final = ("auth_query", "auth_user", "auth_file", "auth_ldap_options")


class Feed:
    """The picture of this second, as JSON."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._made: dict[bool, tuple[float, bytes]] = {}

    def now(self, detailed: bool) -> bytes:
        """The picture, at most half a period old."""
        now = trio.current_time()
        at, text = self._made.get(detailed, (float("-inf"), b""))
        if now - at > PERIOD_SECONDS / 2:
            text = json.dumps(picture(self._server, self._clock, detailed)).encode()
            self._made[detailed] = (now, text)
        return text


class Stream:
    """Server-sent events, one picture each; `detailed` is asked anew for every one."""

    def __init__(self, feed: Feed, detailed: Callable[[], bool]) -> None:
        self._feed = feed
        self._detailed = detailed
        self._begun = False

    async def next(self) -> bytes:
        """The next one."""
        if self._begun:
            await trio.sleep(PERIOD_SECONDS)
        self._begun = True
        return b"data: " + self._feed.now(self._detailed()) + b"\n\n"


def picture(server: Server, clock: Clock, detailed: bool) -> Json:
    """Everything that is drawn."""
    figures, operations = Figures(), server.operations
    for each in totals(server).values():
        figures = figures.plus(each)
    counters = server.counters
    found: Json = {
        "at": trio.current_time(),
        "uptime": int(time.time() - clock.started_at),
        "state": {
            "paused": operations.paused_all,
            "suspended": operations.suspended,
            "stopping": server.shutdown.stopping,
        },
        "lag": clock.take_worst(),
        "clients": len(server.sessions),
        "transactions": figures.transactions,
        "queries": figures.queries,
        "received": figures.received,
        "sent": figures.sent,
        "wait_time": figures.wait_time,
        "assignments": figures.assignments,
        "replays": counters.replays,
        "pins": counters.pins,
        "settings_restored": counters.settings_restored,
        "pools": _pools(server),
        "detailed": detailed,
    }
    if detailed:
        found |= {
            "statements": _statements(server),
            "pinned": records(server, "PINS")[:_ROWS_MAX],
            "changed": _changed_by_clients(server),
            "configured": _configured(server),
        }
    return found


def _pools(server: Server) -> list[Json]:
    sessions: dict[Pool, list[Session]] = {}
    for session in server.sessions.values():
        sessions.setdefault(session.pool, []).append(session)
    now = trio.current_time()
    pools = list(server.pools.values())[:_POOLS_MAX]
    return [_pool(server, pool, sessions.get(pool, []), now) for pool in pools]


def _pool(server: Server, pool: Pool, sessions: list[Session], now: float) -> Json:
    waiting = [now - s.waiting_since for s in sessions if s.waiting_since]
    backends = sorted(pool.backends, key=lambda backend: backend.number)
    return {
        "database": pool.database.name,
        "user": pool.user,
        "mode": pool.limits.pool_mode.value,
        "size": pool.limits.pool_size,
        "paused": server.operations.holds(pool.database.name),
        "disabled": pool.database.name in server.operations.disabled,
        "failing": pool.failure is not None,
        "active": sum(1 for session in sessions if session.backend is not None),
        "idle": sum(1 for s in sessions if s.backend is None and not s.waiting_since),
        "waiting": len(waiting),
        "waits": sorted(waiting, reverse=True)[:_WAITING_MAX],
        "opening": pool.opening,
        "more": max(0, len(backends) - _BACKENDS_MAX),
        "backends": [_backend(pool, backend, now) for backend in backends[:_BACKENDS_MAX]],
    }


def _backend(pool: Pool, backend: Backend, now: float) -> Json:
    holder = backend.holder
    listens = pool.ear is not None and holder is not None and holder is pool.ear.link
    client = holder if isinstance(holder, Session) else None
    pins = (
        [pin.reason for pin in client.relay.pins if not (pin.over or pin.warns)] if client else []
    )
    return {
        "number": backend.number,
        "state": "listens" if listens else state_of(backend, now),
        "client": client.number if client is not None else None,
        "held": now - backend.held_since if client is not None else 0,
        "pins": pins,
        "statements": len(backend.state.statements.names),
    }


def _statements(server: Server) -> list[Json]:
    """By text: on how many backends it is prepared, and how many clients know it.

    A text that clients prepared under different settings is several statements there.
    """
    backends: dict[tuple[str, str], set[int]] = {}
    clients: Counter[tuple[str, str]] = Counter()
    for pool in list(server.pools.values()):
        for backend in pool.backends:
            for statement in list(backend.state.statements.names):
                backends.setdefault(_line_of(pool, statement), set()).add(backend.number)
    for session in server.sessions.values():
        known = set(session.relay.client.names.values())
        clients.update({_line_of(session.pool, statement) for statement in known})
    most = sorted(backends, key=lambda key: (clients[key], len(backends[key])), reverse=True)
    return [
        {
            "database": key[0],
            "statement": key[1],
            "clients": clients[key],
            "backends": len(backends[key]),
        }
        for key in most[:_ROWS_MAX]
    ]


def _line_of(pool: Pool, statement: Statement) -> tuple[str, str]:
    text = statement.text[: _TEXT_MAX * _UTF8_BYTES_MAX].decode("utf-8", "replace")
    return pool.database.name, text[:_TEXT_MAX]


def _changed_by_clients(server: Server) -> list[Json]:
    """Settings that clients have changed since they connected, and how many have; no values."""
    changed: Counter[str] = Counter()
    for session in server.sessions.values():
        settings = session.relay.settings
        if settings.values is not settings.startup:
            changed.update(
                name.decode("utf-8", "replace")
                for name, value in settings.values.items()
                if settings.startup.get(name) != value
            )
    return [{"setting": name, "clients": n} for name, n in changed.most_common(_ROWS_MAX)]


def _configured(server: Server) -> list[Json]:
    """What is configured differently from the default."""
    texts = server.config.settings.texts.items()
    return [
        {"setting": name, "value": text if name not in _UNSHOWN else "(set)"}
        for name, text in sorted(_differing(texts))
    ]


def _differing(texts: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return [(name, text) for name, text in texts if text != SETTINGS[name].default]
