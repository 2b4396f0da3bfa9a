"""SQLAlchemy with asyncpg: both of its statement caches on, ORM sessions, streams, listeners."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import sqlalchemy
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from tests.drivers.asyncpg_clients import play
from tests.drivers.mapped import dialect, errand_class

pytestmark = pytest.mark.drivers

WORKERS = 6
TURNS = 6


@contextlib.asynccontextmanager
async def engine_for(url: str, **options: object) -> AsyncIterator[AsyncEngine]:
    """An engine with SQLAlchemy's defaults, its pool of five and ten more included."""
    engine = create_async_engine(dialect(url, "asyncpg"), **options)
    try:
        yield engine
    finally:
        await engine.dispose()


async def in_turns(errand: Callable[[int, int], Awaitable[None]]) -> None:
    """Six tasks run their errand once in every turn, all at the same time."""
    for turn in range(TURNS):
        async with asyncio.TaskGroup() as together:
            for worker in range(WORKERS):
                together.create_task(errand(worker, turn))


def test_sessions_commit_roll_back_and_return_to_savepoints(
    url: str, errands: str, rows_of
) -> None:
    errand_of = errand_class(errands)

    async def story() -> None:
        async with engine_for(url) as engine:

            async def errand(worker: int, turn: int) -> None:
                async with AsyncSession(engine) as session, session.begin():
                    session.add(errand_of(worker, turn, "new"))
                    await session.flush()
                    with pytest.raises(IntegrityError):
                        async with session.begin_nested():
                            twice = {"worker": worker, "turn": turn, "note": "twice"}
                            await session.execute(sqlalchemy.insert(errand_of).values(twice))
                    found = await session.get_one(errand_of, (worker, turn), with_for_update=True)
                    found.note = f"{worker}.{turn}"
                async with AsyncSession(engine) as session:
                    mine = select(errand_of.note).where(errand_of.worker == worker)
                    notes = await session.scalars(mine.order_by("turn"))
                    assert notes.all() == [f"{worker}.{n}" for n in range(turn + 1)]
                    session.add(errand_of(worker, turn + 100))
                    await session.flush()

            await in_turns(errand)

    play(story())
    assert rows_of(errands) == [(w, t, f"{w}.{t}") for w in range(WORKERS) for t in range(TURNS)]


def test_rows_are_streamed_within_a_transaction(url: str) -> None:
    async def story() -> None:
        async with engine_for(url) as engine:
            numbers = text("select n from generate_series(1, :last) n").columns(
                n=sqlalchemy.Integer
            )

            async def errand(worker: int, turn: int) -> None:
                async with AsyncSession(engine) as session:
                    found: list[int] = []
                    streamed = await session.stream_scalars(
                        numbers, {"last": 100 + worker}, execution_options={"yield_per": 30}
                    )
                    async for part in streamed.partitions():
                        found += part
                        assert await session.scalar(text("select :n"), {"n": "x"}) == "x"
                    assert found == list(range(1, 101 + worker))

            await in_turns(errand)

    play(story())


def test_autocommit_and_pings_do_without_transactions(url: str) -> None:
    async def story() -> None:
        async with engine_for(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True) as engine:

            async def errand(worker: int, turn: int) -> None:
                async with engine.connect() as client:
                    for n in range(4):
                        doubled = text(f"select :n * 2 + {worker % 2}")
                        assert await client.scalar(doubled, {"n": n}) == n * 2 + worker % 2

            await in_turns(errand)

    play(story())


def test_a_table_altered_by_another_engine_is_told_once_at_most_and_then_seen(
    url: str, errands: str
) -> None:
    everything = text(f"select * from {errands}")

    async def seen(engine: AsyncEngine) -> list[object]:
        """All rows. SQLAlchemy never repeats what failed, but it forgets what was cached."""
        for chance in (1, 0):
            try:
                async with engine.connect() as client:
                    return list((await client.execute(everything)).one())
            except DBAPIError as stale:
                assert chance, stale
                assert "cached statement plan is invalid" in str(stale)
        raise AssertionError

    async def story() -> None:
        async with engine_for(url) as engine, engine_for(url) as other:
            async with engine.begin() as client:
                await client.execute(text(f"insert into {errands} values (1, 1, 'x')"))
            assert await seen(engine) == [1, 1, "x"]
            async with other.begin() as client:
                await client.execute(text(f"alter table {errands} add column extra int default 7"))
            assert await seen(engine) == [1, 1, "x", 7]

    play(story())


def test_the_driver_s_own_connection_listens(url: str, errands: str) -> None:
    async def story() -> None:
        heard: asyncio.Queue[object] = asyncio.Queue()
        async with engine_for(url) as engine, engine.connect() as client:
            driver = (await client.get_raw_connection()).driver_connection
            assert driver is not None

            def listener(*said: object) -> None:
                heard.put_nowait(said[-1])

            await driver.add_listener(errands, listener)

            async def errand(worker: int, turn: int) -> None:
                async with engine.begin() as mouth:
                    payload = {"channel": errands, "said": f"{worker}.{turn}"}
                    await mouth.execute(text("select pg_notify(:channel, :said)"), payload)

            await in_turns(errand)
            said = {await heard.get() for _ in range(WORKERS * TURNS)}
            await driver.remove_listener(errands, listener)
        assert said == {f"{w}.{t}" for w in range(WORKERS) for t in range(TURNS)}

    play(story())
