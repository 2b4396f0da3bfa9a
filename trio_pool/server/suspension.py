"""SUSPEND: nothing is read from any client or server, and nothing sent, until RESUME."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_pool.server.server import Server


class Suspension:
    """The switch between the switchboard and those who want it to stand still."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._turning = trio.CancelScope()
        self._moving = trio.Event()
        self._moving.set()

    async def turn(self) -> None:
        """Turn the switchboard, but for the time between `begin` and `end`."""
        while True:
            await self._moving.wait()
            with self._turning:
                await self._server.switchboard.run()

    def begin(self) -> None:
        """Read and send nothing for any client or server; consoles go on."""
        self._moving = trio.Event()
        self._turning.cancel()
        self._turning = trio.CancelScope()

    def end(self) -> None:
        """Let everything move again."""
        now = trio.current_time()
        for pool in self._server.pools.values():
            # What is read next comes now, and not when the janitor last looked.
            pool.now = now
        self._moving.set()

    def stands_still(self) -> bool:
        """It has begun, and has not ended."""
        return not self._moving.is_set()

    def nothing_unsent(self) -> bool:
        """Every byte that was received has been sent on."""
        server = self._server
        wires = [session.wire for session in server.sessions.values()]
        for pool in server.pools.values():
            wires += [backend.wire for backend in pool.backends]
        for passage in server.passages:
            wires += [passage.client.wire, passage.server.wire]
        return not any(wire.sending for wire in wires)
