"""Databases are left to those who drop, rename or copy them.

PostgreSQL refuses that while another session is connected to the database, and gives those that
are about to leave five seconds (storage/ipc/procarray.c, CountOtherDBBackends). Behind a pool the
last client may have left while its backends stay: here they are closed, for as long as the server
waits. Where a client is connected nothing is closed, and the server says what it says.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.pool import Pool
from trio_pool.pool.closing import close_idle

if TYPE_CHECKING:
    from trio_pool.server.server import Server

_STEP_SECONDS: Final = 0.05
# For as long as the server itself waits, and a little longer.
_STEPS: Final = 110


class Vacating:
    """What the clients of one pool ask for in front of a statement about databases.

    Limit: one task, and a number for each database that has a pool.
    """

    def __init__(self, server: Server, asking: Pool) -> None:
        self._server = server
        self._asking = asking
        # How often each is still to be looked at.
        self._steps: dict[bytes, int] = {}

    def make_way(self, names: frozenset[bytes]) -> None:
        """Close what is in the way in databases of these names, now and as clients leave."""
        occupied = self._vacate(names)
        if occupied and not self._steps:
            self._server.start_soon(self._go_on)
        self._steps.update(dict.fromkeys(occupied, _STEPS))

    async def _go_on(self) -> None:
        while self._steps:
            await trio.sleep(_STEP_SECONDS)
            occupied = self._vacate(self._steps)
            left = self._steps
            self._steps = {name: left[name] - 1 for name in occupied if left[name] > 1}

    def _vacate(self, names: Container[bytes]) -> set[bytes]:
        """Close what no client needs any more; the names of databases where something is left."""
        occupied: set[bytes] = set()
        asked_at = self._asking.database
        for pool in list(self._server.pools.values()):
            at = pool.database
            name = at.dbname.encode("utf-8", "surrogateescape")
            if name not in names or (at.host, at.port) != (asked_at.host, asked_at.port):
                continue
            # Who copies its own database is there itself, and needs a backend to say so.
            own = at.name == asked_at.name
            if self._server.census.of_database(at.name) <= own:
                close_idle(pool)
            if not own and (pool.backends or pool.opening):
                occupied.add(name)
        return occupied
