"""A sample of the sweep: every conversation, broken off in eight places.

`python -m tests.faults --every-byte` leaves none out.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from tests.faults.conversations import CONVERSATIONS
from tests.faults.sweep import Sweep, sample
from tests.faults.world import world
from trio_pool.embedded import LocalServer

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted there"),
]


@pytest.mark.parametrize(
    "number", range(len(CONVERSATIONS)), ids=[talk.title for talk in CONVERSATIONS]
)
@pytest.mark.hard_case(157)
def test_whatever_breaks_concerns_one_client_and_leaves_nothing(
    number: int, postgres: LocalServer
) -> None:
    clock = trio.testing.MockClock(rate=1.0)

    async def play() -> int:
        async with world(postgres, clock) as there:
            sweep = Sweep(there, CONVERSATIONS[number])
            faults = 0
            for case in sample(await sweep.undisturbed(), number):
                faults += await sweep.run(case)
            await there.look()
            return faults

    assert trio.run(play, clock=clock) > 0
