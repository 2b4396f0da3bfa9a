"""Does an application survive transaction pooling, by any pooler? Ask the adversarial mode.

Nothing of a session follows its client here, and what was left behind is listed with the
statement that made it. `trio-pool exec --adversarial URL -- COMMAND` does so for a whole suite.
"""

from __future__ import annotations

import psycopg

import trio_pool
from trio_pool.dependence import report
from trio_pool.embedded import local_postgres


def application(url: str) -> None:
    """Three habits: a setting for the session, one for a transaction, a lock for the session."""
    with psycopg.connect(url, autocommit=True) as client:
        client.execute("set statement_timeout = '5s'")
        with client.transaction():
            client.execute("set local lock_timeout = '1s'")
        client.execute("select pg_advisory_lock(42)")
        # Whoever holds the lock by now, it is not this client.
        print("unlocked:", client.execute("select pg_advisory_unlock(42)").fetchone())


def main() -> None:
    with (
        local_postgres() as postgres,
        trio_pool.pool_in_thread(postgres.url(), adversarial=1) as pool,
    ):
        application(pool.url)
        print(report(pool.dependences()))


if __name__ == "__main__":
    main()
