"""asyncpg clients in a crowd: connected together, working turn by turn, left without traces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

import asyncpg

WORKERS = 6
TURNS = 8

Errand = Callable[[asyncpg.Connection, int, int], Awaitable[None]]


def play(story: Coroutine[object, object, None]) -> None:
    """Run the story to its end; a watchdog ends it when a client waits for ever."""

    async def watched() -> None:
        async with asyncio.timeout(30):
            await story

    asyncio.run(watched())


@contextlib.asynccontextmanager
async def clients(url: str, count: int = WORKERS) -> AsyncIterator[list[asyncpg.Connection]]:
    """Connections with asyncpg's defaults: closed in peace, or cut off when the block failed."""
    with contextlib.ExitStack() as stack:
        connected = []
        for _ in range(count):
            connected.append(await asyncpg.connect(url))
            stack.callback(connected[-1].terminate)
        yield connected
        for client in connected:
            await client.close(timeout=5)


async def in_turns(connected: list[asyncpg.Connection], errand: Errand) -> None:
    """Every client runs its errand once in every turn, all at the same time."""
    for turn in range(TURNS):
        async with asyncio.TaskGroup() as together:
            for worker, client in enumerate(connected):
                together.create_task(errand(client, worker, turn))
