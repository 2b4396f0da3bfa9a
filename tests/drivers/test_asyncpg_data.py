"""asyncpg's ways with data: types, cursors, executemany, COPY, errors, timeouts."""

from __future__ import annotations

import datetime
import decimal
import uuid

import asyncpg
import pytest

from tests.drivers.asyncpg_clients import TURNS, WORKERS, clients, in_turns, play

pytestmark = pytest.mark.drivers


def test_types_are_introspected_and_values_come_back_as_they_went(url: str, errands: str) -> None:
    values = [
        ("uuid", uuid.UUID(int=7)),
        ("numeric", decimal.Decimal("12345678901234567890.000001")),
        ("timestamptz", datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)),
        ("jsonb", '{"a": [1, 2]}'),
        ("bytea", bytes(range(256))),
        ("int[]", [1, None, 3]),
        (errands, (1, 2, "composite")),
    ]

    async def story() -> None:
        async with clients(url) as connected:
            for kind, value in values:
                for client in connected:
                    assert await client.fetchval(f"select $1::{kind}", value) == value

    play(story())


def test_large_values_go_both_ways_while_others_work(url: str) -> None:
    large = bytes(range(256)) * 16_384

    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        if worker == turn:
            assert await client.fetchval("select $1::bytea", large) == large
            rows = await client.fetch(
                "select n, repeat('x', 100) from generate_series(1, $1) n", 9999
            )
            assert sum(row[0] for row in rows) == 9999 * 5000
        assert await client.fetchval(f"select $1::int + {worker}", turn) == turn + worker

    async def story() -> None:
        async with clients(url) as connected:
            await in_turns(connected, errand)

    play(story())


def test_executemany_and_copy_in_both_directions(url: str, errands: str, tmp_path, rows_of) -> None:
    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        first = turn * 10
        many = [(worker, first + n, "many") for n in range(5)]
        await client.executemany(f"insert into {errands} values ($1, $2, $3)", many)
        copied = [(worker, first + n, "copied") for n in range(5, 10)]
        assert await client.copy_records_to_table(errands, records=copied) == "COPY 5"
        out = tmp_path / f"{worker}.csv"
        mine = f"select turn from {errands} where worker = $1 and turn >= $2 order by turn"
        assert await client.copy_from_query(mine, worker, first, output=out) == "COPY 10"
        assert out.read_text().split() == [str(n) for n in range(first, first + 10)]

    async def story() -> None:
        async with clients(url) as connected:
            await in_turns(connected, errand)

    play(story())
    notes = [note for _, _, note in rows_of(errands)]
    assert notes == (["many"] * 5 + ["copied"] * 5) * TURNS * WORKERS


def test_a_cursor_in_a_transaction_fetches_in_pieces(url: str) -> None:
    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        numbers = f"select {worker} + n from generate_series(1, $1) as n"
        async with client.transaction():
            seen = [row[0] async for row in client.cursor(numbers, 25, prefetch=10)]
            assert seen == list(range(worker + 1, worker + 26))
            cursor = await client.cursor(numbers, 25)
            assert len(await cursor.fetch(5)) == 5
            assert await cursor.forward(10) == 10
            assert (await cursor.fetchrow())[0] == worker + 16

    async def story() -> None:
        async with clients(url) as connected:
            await in_turns(connected, errand)

    play(story())


def test_an_error_in_a_savepoint_costs_only_the_savepoint(url: str, errands: str, rows_of) -> None:
    insert = f"insert into {errands} values ($1, $2, $3)"

    async def errand(client: asyncpg.Connection, worker: int, turn: int) -> None:
        async with client.transaction():
            await client.execute(insert, worker, turn, "kept")
            with pytest.raises(asyncpg.UniqueViolationError):
                async with client.transaction():
                    await client.execute(insert, worker, turn, "again")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await client.fetchval("select 1 / $1::int", 0)
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await client.fetchval("selec $1")

    async def story() -> None:
        async with clients(url) as connected:
            await in_turns(connected, errand)

    play(story())
    assert rows_of(errands) == [(w, t, "kept") for w in range(WORKERS) for t in range(TURNS)]


def test_a_timeout_cancels_only_the_query_that_was_too_slow(url: str) -> None:
    async def story() -> None:
        async with clients(url) as connected:

            async def slow(client: asyncpg.Connection) -> None:
                with pytest.raises(TimeoutError):
                    await client.fetchval("select pg_sleep($1)", 600, timeout=0.3)

            for client in connected[:2]:
                await slow(client)
            for worker, client in enumerate(connected):
                assert await client.fetchval(f"select $1::int + {worker}", 1) == worker + 1

    play(story())
