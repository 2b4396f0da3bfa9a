"""asyncpg with its default settings: it prepares whatever it sends and caches it for good."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import asyncpg
import pytest

from tests.drivers.asyncpg_clients import TURNS, WORKERS, clients, in_turns, play

pytestmark = pytest.mark.drivers

IS_PREPARED = "select count(*) > 0 from pg_prepared_statements where statement = $1"


def test_cached_statements_are_reused_while_other_clients_take_the_backend(
    url: str, errands: str, rows_of
) -> None:
    insert = f"insert into {errands} values ($1, $2, $3)"
    count = f"select count(*) from {errands} where worker = $1"

    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        own = f"select $1::int * 10 + {worker} as n, 'worker {worker}' as who"
        assert tuple(await client.fetchrow(own, turn)) == (turn * 10 + worker, f"worker {worker}")
        async with client.transaction():
            assert await client.execute(insert, worker, turn, f"{worker}.{turn}") == "INSERT 0 1"
            assert await client.fetchval(count, worker) == turn + 1
            assert await client.fetchval(IS_PREPARED, count)

    async def story() -> None:
        async with clients(url) as connected:
            await in_turns(connected, errand)

    play(story())
    assert rows_of(errands) == [(w, t, f"{w}.{t}") for w in range(WORKERS) for t in range(TURNS)]


async def work_alone(url: str, number: int) -> list[str]:
    client = await asyncpg.connect(url)
    try:
        return [
            await client.fetchval(f"select $1::text || ' in process {number}, text {text}'", "word")
            for _ in range(TURNS)
            for text in range(3)
        ]
    finally:
        await client.close(timeout=5)


def in_a_process_of_its_own(url: str, number: int) -> list[str]:
    return asyncio.run(work_alone(url, number))


def test_processes_that_count_their_statements_alike_do_not_mix_them_up(url: str) -> None:
    # asyncpg numbers statements per process: __asyncpg_stmt_1__ has three meanings here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as processes:
        running = [processes.submit(in_a_process_of_its_own, url, n) for n in range(3)]
        for number, process in enumerate(running):
            texts = [f"word in process {number}, text {text}" for text in range(3)]
            assert process.result(timeout=60) == texts * TURNS


def test_a_statement_prepared_once_serves_every_later_transaction(url: str) -> None:
    async def story() -> None:
        async with clients(url) as connected:
            prepared = []
            for worker, client in enumerate(connected):
                text = f"select $1::int + {worker} as sum, $2::text as word"
                # It ends prepare() with Flush and leaves the Sync to the first execution.
                prepared.append(await client.prepare(text))

            async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
                statement = prepared[worker]
                async with client.transaction():
                    assert tuple(await statement.fetchrow(turn, "a")) == (turn + worker, "a")
                    assert await client.fetchval(IS_PREPARED, statement.get_query())
                assert await statement.fetchval(1, "b", column=1) == "b"
                assert [kind.name for kind in statement.get_parameters()] == ["int4", "text"]
                assert [column.name for column in statement.get_attributes()] == ["sum", "word"]

            await in_turns(connected, errand)

    play(story())


def test_its_own_pool_resets_connections_and_their_statements_live_on(url: str) -> None:
    async def story() -> None:
        async with asyncpg.create_pool(url, min_size=2, max_size=4) as pool:

            async def errand(number: int) -> None:
                async with pool.acquire() as client:
                    await client.execute("set application_name = 'busy'")
                    text = f"select $1::int + {number % 5}"
                    for turn in range(3):
                        assert await client.fetchval(text, turn) == turn + number % 5

            for _ in range(3):
                async with asyncio.TaskGroup() as together:
                    for number in range(12):
                        together.create_task(errand(number))
            # RESET ALL at release gives back what the client started with.
            assert await pool.fetchval("show application_name") == ""

    play(story())


def test_a_table_altered_by_another_client_is_seen_by_cached_statements(
    url: str, errands: str
) -> None:
    async def story() -> None:
        async with clients(url) as connected:
            await connected[0].execute(f"insert into {errands} values (1, 1, 'x')")
            everything = f"select * from {errands}"
            for client in connected:
                assert tuple(await client.fetchrow(everything)) == (1, 1, "x")

            await connected[0].execute(f"alter table {errands} add column extra int default 7")

            for client in connected[:3]:
                assert tuple(await client.fetchrow(everything)) == (1, 1, "x", 7)
            for client in connected[3:]:
                # asyncpg cannot retry inside a transaction: it reports once and is healed then.
                # A pool that prepared the text again for another client need not report at all.
                with contextlib.suppress(asyncpg.InvalidCachedStatementError):
                    async with client.transaction():
                        assert tuple(await client.fetchrow(everything)) == (1, 1, "x", 7)
                assert tuple(await client.fetchrow(everything)) == (1, 1, "x", 7)

    play(story())


def test_one_text_means_what_each_clients_search_path_makes_of_it(url: str, errands: str) -> None:
    async def story() -> None:
        async with clients(url) as connected:
            for worker, client in enumerate(connected):
                schema = f"{errands}_{worker}"
                await client.execute(
                    f"create schema {schema}; set search_path to {schema};"
                    f"create table mine as select {worker} as owner"
                )

            async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
                assert await client.fetchval("select owner + $1::int from mine", turn) == (
                    worker + turn
                )
                assert await client.fetchval("show search_path") == f"{errands}_{worker}"

            await in_turns(connected, errand)
            for worker, client in enumerate(connected):
                await client.execute(f"drop schema {errands}_{worker} cascade")

    play(story())
