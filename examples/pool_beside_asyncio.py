"""A pool beside an asyncio loop, with a hook that counts what its clients say.

The pool runs in a thread of its own; the loop never waits for it. Here ten of asyncio's tasks
talk to the pool at once and share two backends.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg

import trio_pool
from trio_pool.embedded import local_postgres

said: Counter[str] = Counter()


def listen(client: trio_pool.Client, text: str) -> None:
    """Called in the pool's thread for every text, before the server sees it."""
    said[text.partition(" ")[0].upper()] += 1


async def ask(url: str, number: int) -> int:
    client = await asyncpg.connect(url)
    try:
        answer: int = await client.fetchval("select $1::int * 2", number)
        return answer
    finally:
        await client.close()


async def main() -> None:
    with local_postgres() as postgres:
        hooks = trio_pool.Hooks(on_query=listen)
        async with trio_pool.pool_beside_asyncio(
            postgres.url(), hooks=hooks, default_pool_size=2
        ) as pool:
            answers = await asyncio.gather(*(ask(pool.url, number) for number in range(10)))
            print(answers, "from", pool.stats().backends, "backends")
    print(f"{said['SELECT']} texts began with SELECT")


if __name__ == "__main__":
    asyncio.run(main())
