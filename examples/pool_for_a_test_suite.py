"""A pool and a PostgreSQL for blocking code, such as the fixtures of a test suite.

Two `with` blocks are all: one throw-away server, one pool in front of it, in a thread. What is
tested then meets transaction pooling long before production does. As pytest fixtures:

    @pytest.fixture(scope="session")
    def database_url():
        with pooled_postgres(pool_size=2) as url:
            yield url

Under pytest the plugin does all of this (docs/pytest.md); other test runners can do it so.
Limit: the server forgets everything at the end; it trades durability for speed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import trio_pool
from trio_pool.embedded import local_postgres


@contextlib.contextmanager
def pooled_postgres(pool_size: int) -> Iterator[str]:
    """The URL of a fresh PostgreSQL behind a pool of so many backends."""
    with (
        local_postgres() as postgres,
        trio_pool.pool_in_thread(postgres.url(), default_pool_size=pool_size) as pool,
    ):
        yield pool.url


def main() -> None:
    with pooled_postgres(pool_size=1) as url:
        # Any driver, in any language: here a program that reads the URL from its environment.
        program = "import os; print('a program under test found', os.environ['DATABASE_URL'][:13])"
        environment = {**os.environ, "DATABASE_URL": url}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)


if __name__ == "__main__":
    main()
