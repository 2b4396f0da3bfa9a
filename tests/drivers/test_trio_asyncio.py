"""asyncpg inside Trio: trio-asyncio in a process of its own, since importing it changes asyncio."""

from __future__ import annotations

import sys

import pytest

from tests.drivers.programs import Program, scenarios_that_held

pytestmark = [
    pytest.mark.drivers,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="trio-asyncio ends with Python 3.13"),
]

# Why not every warning: it uses what Python 3.12 calls deprecated.
STRICT = ("-W", "error", "-W", "ignore::DeprecationWarning")
ASYNCPG_IN_TRIO = Program(
    folder="trio_asyncio", tools=(), build=(), command=(sys.executable, *STRICT, "main.py")
)


def test_asyncpg_in_tasks_of_trio_notices_nothing_of_the_pool(url: str, errands: str) -> None:
    folder = ASYNCPG_IN_TRIO.sources
    assert scenarios_that_held(ASYNCPG_IN_TRIO, folder, url, errands) == [
        "cached and prepared statements",
        "transactions cursors and copy",
        "a cancelled task cancels its query and no other",
        "its own pool",
    ]
