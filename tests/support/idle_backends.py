"""Compares every idle backend of a running pool with what the pool believes of it.

A backend at rest may carry the settings of its last client, if the pool knows of them; the next
client is then given what differs. What it does not know of would be seen by that client. So each
backend is asked, in one Query, for all that its session has set and all that could pin it.
"""

from __future__ import annotations

from typing import Final

import attrs
import trio

from protocol import frontend
from protocol.framing import FrameReader
from protocol.tags import BackendTag
from trio_pool.backend import Backend
from trio_pool.config import PoolMode
from trio_pool.errors import Ending
from trio_pool.pool import Pool
from trio_pool.relay.pins import QUESTION
from trio_pool.server import Server
from trio_pool.settings import BackendSettings, decode_answer, question

_SECONDS_MAX: Final = 60.0
_ANSWER_BYTES_MAX: Final = 10_000_000
_COLUMNS_OF_SETTING: Final = 3


async def what_they_hide(server: Server) -> list[str]:
    """What was found, in sentences. Runs in the pool's own thread; backends at work are left."""
    found: list[str] = []
    for pool in server.pools.values():
        if not _keeps_books(pool):
            continue
        customs = frozenset[bytes]().union(
            *(backend.state.settings.customs for backend in pool.backends),
            *(session.relay.settings.customs for session in server.sessions.values()),
        )
        for backend in list(pool.idle):
            found += await _hidden_in(backend, customs)
    return found


def _keeps_books(pool: Pool) -> bool:
    """Whether the pool claims to know what its backends have."""
    settings = pool.settings
    wiped = settings.server_reset_query == "DISCARD ALL" or pool.limits.pool_mode is not (
        PoolMode.SESSION
    )
    return wiped and not pool.database.connect_query and not pool.statements.pin_policy.warned


async def _hidden_in(backend: Backend, customs: frozenset[bytes]) -> list[str]:
    pool = backend.pool
    if backend not in pool.idle:
        return []
    look = Look()
    pool.idle.remove(backend)
    backend.holder = look
    look.begin(backend, question(customs) + b"; " + QUESTION)
    with trio.fail_after(_SECONDS_MAX):
        await look.ended.wait()
    state = backend.state.settings
    return [f"backend {backend.number} of {pool.name}: {line}" for line in look.lines(state)]


@attrs.define(eq=False)
class Look:
    """A holder that asks once, collects the rows, and gives the backend back."""

    waiting_since: float = 0.0
    ended: trio.Event = attrs.field(factory=trio.Event)
    settings: dict[bytes, bytes] = attrs.field(factory=dict)
    customs: set[bytes] = attrs.field(factory=set)
    left: list[str] = attrs.field(factory=list)
    _reader: FrameReader = attrs.field(factory=lambda: FrameReader(_ANSWER_BYTES_MAX))
    _backend: Backend | None = None

    def begin(self, backend: Backend, sql: bytes) -> None:
        self._backend = backend
        backend.state.statements.unnamed = None
        backend.wire.put(frontend.query(sql))

    def lines(self, believed: BackendSettings) -> list[str]:
        """What differs from what is believed, or is left."""
        found = [f"{what} is left" for what in self.left]
        for name, value in sorted(self.settings.items()):
            belief = believed.value_of(name)
            if (name, value) not in believed.unset and value != belief:
                found.append(f"{name!r} is {value!r}, and believed to be {belief!r}")
        for name, belief in sorted(believed.values.items()):
            if name not in self.settings:
                found.append(f"{name!r} is not set, and believed to be {belief!r}")
        strange = self.customs - believed.customs
        found += [f"{name!r} was made there, which is not known" for name in sorted(strange)]
        return found if not self._lost else []

    _lost: bool = False

    def heard(self, data: bytes) -> None:
        assert self._backend is not None
        self._reader.feed(data)
        while (frame := self._reader.next_frame()) is not None:
            tag, body = frame
            if tag == BackendTag.DATA_ROW:
                self._row(body)
            elif tag == BackendTag.ERROR:
                # A statement_timeout of its last client's, perhaps.
                self._lost = True
            elif tag == BackendTag.READY_FOR_QUERY:
                self._backend.pool.give_back(self._backend)
                self.ended.set()
                return

    def _row(self, body: bytes) -> None:
        if int.from_bytes(body[:2], "big") != _COLUMNS_OF_SETTING:
            self.left.append(body[6:].decode())
            return
        name, value, custom = decode_answer(body)
        if custom:
            self.customs.add(name)
        if value or not custom:
            self.settings[name] = value

    def suits(self, backend: Backend) -> bool:
        return True

    def granted(self, backend: Backend) -> None:
        raise AssertionError("it asks for nobody but the one it was begun with")

    def backend_drained(self) -> None:
        """It sends once."""

    def backend_lost(self, why: Ending) -> None:
        self._lost = True
        self.ended.set()

    def refused(self, why: Ending) -> None:
        raise AssertionError("it never waits")
