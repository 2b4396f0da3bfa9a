"""A pool between two proxies in front of a real PostgreSQL, all in one Trio run.

The pool is the real one on real sockets; what is the test's own is the bytes' way and the clock.
Two clients are not part of what breaks: the bystander, who is in a transaction while it does, and
the witness, who looks at what is left.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import attrs
import trio
import trio.testing

from tests.faults.conversations import FIXTURES
from tests.faults.proxy import Proxy
from tests.support.pooler import config_for
from trio_pool.backend import Backend
from trio_pool.conform.client import Client
from trio_pool.embedded import LocalServer
from trio_pool.pool import Pool
from trio_pool.proof import Door
from trio_pool.server import Serving, serve

# Limit: nothing here takes a second; a busy machine may make it take some.
PATIENCE_SECONDS: Final = 30.0
BACKENDS: Final = 2
DATABASE: Final = "faults"
# Why no notice: the test moves the clock, and nobody has really waited.
_SETTINGS: Final[dict[str, str | float]] = {
    "pool_mode": "transaction",
    "default_pool_size": BACKENDS,
    "auth_type": "trust",
    "query_wait_notify": 0,
}

# What a backend that goes back to the pool may not have, by what it is; each counts to 0.
_LEFT: Final = {
    "a setting": (
        "select count(*) from pg_settings where source = 'session'"
        " and setting is distinct from reset_val and name <> 'application_name'"
    ),
    "a prepared statement": (
        r"select count(*) from pg_prepared_statements where name !~ '^_tp_' and name <> ''"
    ),
    "a cursor": "select count(*) from pg_cursors where name <> ''",
    "a lock": (
        "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'"
    ),
    "a channel": "select count(*) from pg_listening_channels()",
    "a temporary table": ("select count(*) from pg_class where relnamespace = pg_my_temp_schema()"),
    "a transaction": "select count(*) where pg_current_xact_id_if_assigned() is not null",
}
_LOOK: Final = f"select {', '.join(f'({sql})' for sql in _LEFT.values())}"


class Broken(AssertionError):
    """Something is not as it was before the fault."""


async def until(true: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait for a condition. Raises Broken when it does not come."""
    # Why not trio's clock: the test may move it.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise Broken(what())
        await trio.testing.wait_all_tasks_blocked(0.0003)


class _Complaints(logging.Handler):
    """What the pool itself calls an error: a bug of ours, whoever was told of it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@attrs.define(eq=False)
class World:
    """What a test needs to know of it all."""

    postgres: LocalServer
    serving: Serving
    client_side: Proxy
    server_side: Proxy
    clock: trio.testing.MockClock
    complaints: list[str]
    descriptors: int = 0
    bystander: Client = attrs.field(init=False)
    witness: Client = attrs.field(init=False)

    @property
    def pool(self) -> Pool:
        """The pool of the one database there is."""
        (found,) = [
            pool for (name, _), pool in self.serving.server.pools.items() if name == DATABASE
        ]
        return found

    def door(self, port: int) -> Door:
        """How a client enters at this port."""
        user, password = self.postgres.user, self.postgres.password
        return Door(host="127.0.0.1", port=port, user=user, password=password, database=DATABASE)

    @property
    def pool_port(self) -> int:
        """Where the pool itself listens."""
        return next(a[1] for a in self.serving.addresses if isinstance(a, tuple))

    async def client(self) -> Client:
        """A client that comes past the proxy."""
        return await Client.open(self.door(self.pool_port), patience=PATIENCE_SECONDS)

    def held_by(self, client: Client) -> Backend:
        """The backend that a client of ours holds."""
        port = client.plain.getsockname()[1]
        for session in self.serving.server.sessions.values():
            with contextlib.suppress(OSError):
                if session.wire.sock.getpeername()[1] == port and session.backend is not None:  # type: ignore[attr-defined]
                    return session.backend
        raise Broken("the client holds no backend")

    async def prepare(self) -> None:
        """The two others come in; what a run must give back is counted from here."""
        self.bystander, self.witness = await self.client(), await self.client()
        await self.look()
        await self.until_at_rest()
        self.descriptors = _descriptors() - self._descriptors_of_backends()

    async def until_at_rest(self) -> None:
        """Wait until the books are as if nobody but the two had ever been there."""
        await until(lambda: not self.amiss(), lambda: f"never came to rest: {self.amiss()}")

    def amiss(self) -> list[str]:
        """What differs from the state of rest."""
        server, pool = self.serving.server, self.pool
        backends = len(pool.backends)
        user = pool.user
        found = {
            "clients": len(server.clients) != 2,
            "sessions": len(server.sessions) != 2,
            "logins": len(server.lobby) != 0,
            "census": server.census.of_database(DATABASE) != 2 or server.census.of_user(user) != 2,
            "waiting": bool(pool.waiting),
            "opening": pool.opening != 0,
            "backends": backends > BACKENDS,
            "idle": {*pool.idle, *pool.unchecked} != pool.backends,
            "caps": server.caps.by_database.get(DATABASE, 0) != backends,
            "caps of the user": server.caps.by_user.get(user, 0) != backends,
            "ledgers": not all(_clean(backend) for backend in pool.backends),
        }
        found |= dict.fromkeys(self.complaints, True)
        if self.descriptors:
            expected = self.descriptors + self._descriptors_of_backends()
            found[f"descriptors ({_descriptors()} for {expected})"] = _descriptors() != expected
        return [what for what, wrong in found.items() if wrong]

    def _descriptors_of_backends(self) -> int:
        """One is the pool's, two are the proxy's."""
        return 3 * len(self.pool.backends)

    async def look(self) -> None:
        """Look into each backend. Raises Broken for whatever a session has left there."""
        for client in (self.bystander, self.witness):
            await client.rows("begin")
        for client in (self.bystander, self.witness):
            (counts,) = await client.rows(_LOOK)
            left = [what for what, count in zip(_LEFT, counts, strict=True) if count != "0"]
            if left:
                raise Broken(f"a backend has {', '.join(left)}")
        for client in (self.witness, self.bystander):
            await client.rows("commit")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _clean(backend: Backend) -> bool:
    wire = backend.wire
    return (
        backend.state.pipeline.quiet
        and backend.holder is None
        and backend.cancels == 0
        and not backend.state.partial
        and wire.reading
        and not wire.sending
        and not wire.closed
    )


@contextlib.asynccontextmanager
async def world(
    postgres: LocalServer, clock: trio.testing.MockClock, **settings: str | float
) -> AsyncIterator[World]:
    """Everything set up and at rest, until the block ends. To be run under `clock`."""
    await _make_database(postgres)
    complaints = _Complaints()
    logging.getLogger("trio_pool").addHandler(complaints)
    async with trio.open_nursery() as nursery:
        server_side = Proxy((postgres.host, postgres.port))
        await nursery.start(server_side.run)
        through = attrs.evolve(postgres, port=server_side.port, host="127.0.0.1")
        config = config_for(
            through,
            users=None,
            databases=None,
            **_SETTINGS | settings,
        )
        serving: Serving = await nursery.start(_serve, config)
        client_side = Proxy(("127.0.0.1", 0))
        made = World(postgres, serving, client_side, server_side, clock, complaints.said)
        client_side.target = ("127.0.0.1", made.pool_port)
        await nursery.start(client_side.run)
        await made.prepare()
        try:
            yield made
        finally:
            made.bystander.close()
            made.witness.close()
            logging.getLogger("trio_pool").removeHandler(complaints)
            nursery.cancel_scope.cancel()


async def _serve(config, task_status=trio.TASK_STATUS_IGNORED) -> None:  # type: ignore[no-untyped-def]
    await serve(config, dedicated=False, task_status=task_status)


async def _make_database(postgres: LocalServer) -> None:
    door = Door(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password,
        database=postgres.database,
    )
    root = await Client.open(door, patience=PATIENCE_SECONDS)
    await root.rows(f"drop database if exists {DATABASE} with (force)")
    await root.rows(f"create database {DATABASE}")
    await root.say_goodbye()
    owner = await Client.open(attrs.evolve(door, database=DATABASE), patience=PATIENCE_SECONDS)
    await owner.rows(FIXTURES)
    await owner.say_goodbye()
