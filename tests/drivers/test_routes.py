"""The routes are what they claim to be; without this the other tests might prove nothing."""

from __future__ import annotations

import psycopg
import pytest

pytestmark = pytest.mark.drivers

WORKERS = 6


@pytest.mark.parametrize("size", [1, 2])
def test_six_clients_that_work_in_turns_share_as_few_backends_as_the_pool_has(
    pool, crowd, size: int
) -> None:
    url = pool(default_pool_size=size, pool_mode="transaction").url()
    clients = [psycopg.connect(url, connect_timeout=20) for _ in range(WORKERS)]
    backends: set[int] = set()

    def errand(worker: int, turn: int) -> None:
        (backend,) = clients[worker].execute("select pg_backend_pid()").fetchone()
        backends.add(backend)
        clients[worker].commit()

    crowd(WORKERS, 4, errand)

    for client in clients:
        client.close()
    assert 1 <= len(backends) <= size
