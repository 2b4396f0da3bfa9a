"""A pool as a block in a Trio program.

`open_pool` listens on a free port until its block ends. Here two clients share one backend; each
has a prepared statement named `s`, and each gets its own.
"""

from __future__ import annotations

import trio

import trio_pool
from trio_pool.embedded import open_local_postgres
from trio_pool.probe import open_probe


async def main() -> None:
    async with (
        open_local_postgres() as postgres,
        trio_pool.open_pool(postgres.url(), default_pool_size=1) as pool,
    ):
        await two_clients(pool.access)
        print(f"{pool.stats().transactions} transactions on {pool.stats().backends} backend")


async def two_clients(way: trio_pool.Access) -> None:
    """One client after the other asks its own statement, by the same name."""
    who = {"user": way.user, "password": way.password, "database": way.database}
    async with (
        open_probe(way.host, way.port, **who) as first,
        open_probe(way.host, way.port, **who) as second,
    ):
        await first.prepare("s", "select 'first', $1::int + 1")
        await second.prepare("s", "select 'second', $1::int * 2")
        for number in ("20", "21"):
            print((await first.execute("s", [number])).rows)
            print((await second.execute("s", [number])).rows)


if __name__ == "__main__":
    trio.run(main)
