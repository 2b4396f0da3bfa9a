"""asyncpg in a Trio program, by way of trio-asyncio, with its cache of prepared statements on.

asyncpg needs asyncio; trio-asyncio runs such a loop inside Trio. The pool runs in the same Trio
run and needs no loop. `pip install trio-asyncio`, for Python 3.11 to 3.13: it uses parts of asyncio
that 3.14 no longer has. Importing it changes asyncio's event loop policy for the whole process,
which is why trio_pool itself never does.
"""

from __future__ import annotations

import asyncpg
import trio
import trio_asyncio

import trio_pool
from trio_pool.embedded import open_local_postgres

in_asyncio = trio_asyncio.aio_as_trio


async def ask(url: str, number: int) -> None:
    """A Trio task with a client of its own. Cancelling it cancels the query."""
    client = await in_asyncio(asyncpg.connect)(url)
    try:
        for _ in range(5):
            assert await in_asyncio(client.fetchval)("select $1::int * 2", number) == number * 2
        async with in_asyncio(client.transaction()):
            await in_asyncio(client.execute)("insert into answers values ($1)", number * 2)
    finally:
        client.terminate()


async def main() -> None:
    async with (
        open_local_postgres() as postgres,
        trio_pool.open_pool(postgres.url(), default_pool_size=2) as pool,
        trio_asyncio.open_loop(),
    ):
        client = await in_asyncio(asyncpg.connect)(pool.url)
        await in_asyncio(client.execute)("create table answers (answer int)")
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(ask, pool.url, number)
        print(
            await in_asyncio(client.fetchval)(
                "select array_agg(answer order by answer) from answers"
            )
        )
        with trio.move_on_after(0.1):
            await in_asyncio(client.execute)("select pg_sleep(60)")
        print("still there:", await in_asyncio(client.fetchval)("select true"))
        await in_asyncio(client.close)()
        print(f"10 tasks of Trio shared {pool.stats().backends} of 2 backends")


if __name__ == "__main__":
    trio.run(main)
