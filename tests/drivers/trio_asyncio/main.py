"""asyncpg in tasks of Trio: finds its database in DATABASE_URL and its table in ERRANDS."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import asyncpg
import trio
import trio_asyncio

WORKERS = 6
TURNS = 4
ERRANDS = os.environ["ERRANDS"]
in_asyncio = trio_asyncio.aio_as_trio

Errand = Callable[[asyncpg.Connection, int, int], Awaitable[None]]


async def in_turns(clients: list[asyncpg.Connection], errand: Errand) -> None:
    for turn in range(TURNS):
        async with trio.open_nursery() as nursery:
            for worker, client in enumerate(clients):
                nursery.start_soon(errand, client, worker, turn)


async def cached_and_prepared_statements(clients: list[asyncpg.Connection]) -> None:
    prepared = []
    for client in clients:
        # asyncpg sends no Sync after Parse: only a transaction's end lets go of the backend.
        async with in_asyncio(client.transaction()):
            prepared.append(await in_asyncio(client.prepare)("select $1::int + 1"))

    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        text = f"select $1::int * 10 + {worker}"
        assert await in_asyncio(client.fetchval)(text, turn) == turn * 10 + worker
        assert await in_asyncio(prepared[worker].fetchval)(turn) == turn + 1

    await in_turns(clients, errand)


async def transactions_cursors_and_copy(clients: list[asyncpg.Connection]) -> None:
    insert = f"insert into {ERRANDS} values ($1, $2, $3)"

    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        async with in_asyncio(client.transaction()):
            await in_asyncio(client.execute)(insert, worker, turn, "new")
            numbers = client.cursor("select generate_series(1, $1::int)", 30, prefetch=10)
            assert [row[0] async for row in in_asyncio(numbers)] == list(range(1, 31))
        copied = [(worker, 100 + turn, "copied")]
        assert await in_asyncio(client.copy_records_to_table)(ERRANDS, records=copied) == "COPY 1"

    await in_turns(clients, errand)
    count = await in_asyncio(clients[0].fetchval)(f"select count(*) from {ERRANDS}")
    assert count == 2 * WORKERS * TURNS


async def a_cancelled_task_cancels_its_query_and_no_other(
    clients: list[asyncpg.Connection],
) -> None:
    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        if worker == turn:
            with trio.move_on_after(0.05) as scope:
                await in_asyncio(client.execute)("select pg_sleep(600)")
            assert scope.cancelled_caught
        assert await in_asyncio(client.fetchval)("select $1::int", worker) == worker

    await in_turns(clients, errand)


async def its_own_pool(url: str) -> None:
    async with in_asyncio(asyncpg.create_pool(url, min_size=1, max_size=5)) as pool:

        async def ask(number: int) -> None:
            assert await in_asyncio(pool.fetchval)("select $1::int", number) == number

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(ask, number)


async def main(url: str) -> None:
    async with trio_asyncio.open_loop():
        clients = [await in_asyncio(asyncpg.connect)(url) for _ in range(WORKERS)]
        for scenario in (
            cached_and_prepared_statements,
            transactions_cursors_and_copy,
            a_cancelled_task_cancels_its_query_and_no_other,
        ):
            await scenario(clients)
            print("ok", scenario.__name__.replace("_", " "), flush=True)
        for client in clients:
            await in_asyncio(client.close)()
        await its_own_pool(url)
        print("ok its own pool")


trio.run(main, os.environ["DATABASE_URL"])
