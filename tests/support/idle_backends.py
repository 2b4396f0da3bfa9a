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
from trio_pool.backend import Backend
from trio_pool.config import PoolMode
from trio_pool.errand import Answer, Errand
from trio_pool.pool import Pool
from trio_pool.relay.pins import QUESTION
from trio_pool.server import Server
from trio_pool.settings import BackendSettings, decode_answer, question

_SECONDS_MAX: Final = 60.0
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
    ended = trio.Event()

    def done(backend: Backend | None, answer: Answer) -> bool:
        ended.set()
        return True

    errand = Errand(lambda _: frontend.query(question(customs) + b"; " + QUESTION), done)
    pool.idle.remove(backend)
    pool.lend(backend, errand)
    with trio.fail_after(_SECONDS_MAX):
        await ended.wait()
    if errand.answer.error is not None or errand.answer.ending is not None:
        # A statement_timeout of its last client's, perhaps.
        return []
    look = Look()
    for row in errand.answer.rows:
        look.see(row)
    state = backend.state.settings
    return [f"backend {backend.number} of {pool.name}: {line}" for line in look.lines(state)]


@attrs.define
class Look:
    """What a backend says of itself."""

    settings: dict[bytes, bytes] = attrs.field(factory=dict)
    customs: set[bytes] = attrs.field(factory=set)
    left: list[str] = attrs.field(factory=list)

    def see(self, row: bytes) -> None:
        """The body of a DataRow of the answer."""
        if int.from_bytes(row[:2], "big") != _COLUMNS_OF_SETTING:
            self.left.append(row[6:].decode())
            return
        name, value, custom = decode_answer(row)
        if custom:
            self.customs.add(name)
        if value or not custom:
            self.settings[name] = value

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
        return found
