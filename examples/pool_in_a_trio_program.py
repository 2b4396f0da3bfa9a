"""A pool as one more task of a Trio nursery.

`serve` is started like any server: once `start` returns, it listens, and it ends when it is
cancelled. Port 0 lets the system choose. Here two clients share one backend; each has a
prepared statement named `s`, and each gets its own.
"""

from __future__ import annotations

import trio

from trio_pool.config import config_from_url
from trio_pool.embedded import LocalServer, open_local_postgres
from trio_pool.probe import open_probe
from trio_pool.server import serve


async def main() -> None:
    async with open_local_postgres() as postgres, trio.open_nursery() as nursery:
        config = config_from_url(postgres.url(), listen_port=0, default_pool_size=1)
        pool = await nursery.start(serve, config)
        _, port = next(address for address in pool.addresses if isinstance(address, tuple))

        await two_clients(postgres, port)
        print(f"{pool.counters.transactions} transactions on one backend")
        nursery.cancel_scope.cancel()


async def two_clients(postgres: LocalServer, port: int) -> None:
    """One client after the other asks its own statement, by the same name."""
    who = {"user": postgres.user, "password": postgres.password, "database": postgres.database}
    async with (
        open_probe("127.0.0.1", port, **who) as first,
        open_probe("127.0.0.1", port, **who) as second,
    ):
        await first.prepare("s", "select 'first', $1::int + 1")
        await second.prepare("s", "select 'second', $1::int * 2")
        for number in ("20", "21"):
            print((await first.execute("s", [number])).rows)
            print((await second.execute("s", [number])).rows)


if __name__ == "__main__":
    trio.run(main)
