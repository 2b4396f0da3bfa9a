"""SQLAlchemy with its default settings: asyncpg and psycopg at once, on two backends.

The engines are made as for a server of one's own: SQLAlchemy's pool, its cache of prepared
statements and that of the driver stay on. No `NullPool`, no `prepared_statement_name_func`.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import trio_pool
from trio_pool.embedded import local_postgres

WRITERS = 12
ENTRIES = 10


class Base(DeclarativeBase):
    pass


class Entry(Base):
    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    writer: Mapped[str]
    text: Mapped[str]


async def write_in_tasks(url: str) -> None:
    """Many tasks, each with a session for every entry, by asyncpg."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:", 1))

    async def write(writer: int) -> None:
        for number in range(ENTRIES):
            async with AsyncSession(engine) as session, session.begin():
                session.add(Entry(writer=f"writer {writer}", text=f"entry {number}"))

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    await engine.dispose()


def make_and_read(url: str) -> None:
    """The table and all that is in it, piece by piece, by psycopg."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), pool_pre_ping=True)
    Base.metadata.create_all(engine)
    asyncio.run(write_in_tasks(url))
    with Session(engine) as session:
        entries = session.scalars(select(Entry).execution_options(yield_per=50))
        print(sum(1 for _ in entries), "entries were read by a server-side cursor")
    engine.dispose()


def main() -> None:
    with (
        local_postgres() as postgres,
        trio_pool.pool_in_thread(postgres.url(), default_pool_size=2) as pool,
    ):
        make_and_read(pool.url)
        print(f"two engines shared {pool.stats().backends} of 2 backends")


if __name__ == "__main__":
    main()
