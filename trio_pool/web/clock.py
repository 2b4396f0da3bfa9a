"""A finer clock than the janitor's, and how late the loop is; runs only where metrics are served.

Leases and waits are timed by each pool's `now`, so that nothing on the steady path reads a clock.
Its steps are as fine as somebody sets it forward.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import trio

from trio_pool.config import Settings
from trio_pool.counting import Durations
from trio_pool.pool import Pool

# Limit: a finer clock would cost more than it tells.
_STEP_SECONDS_MIN: Final = 0.001


class Clock:
    """Sets the pools' clocks forward, and counts by how much it is late itself."""

    def __init__(self) -> None:
        self.lag = Durations()
        self.steps = 0
        # By the clock on the wall.
        self.started_at = time.time()
        # The latest it was since somebody last looked (`take_worst`).
        self._worst = 0.0

    async def run(self, pools: Mapping[tuple[str, str], Pool], settings: Settings) -> None:
        """Step after step, for ever."""
        seconds = step_seconds(settings)
        before = trio.current_time()
        while True:
            await trio.sleep(seconds)
            now = trio.current_time()
            late = max(0.0, now - before - seconds)
            self.steps += 1
            self.lag.count(late)
            self._worst = max(self._worst, late)
            before = now
            for pool in pools.values():
                pool.now = now

    def take_worst(self) -> float:
        """By how many seconds it was late at most since the last time this was asked."""
        worst, self._worst = self._worst, 0.0
        return worst


def step_seconds(settings: Settings) -> float:
    """The steps of the clock."""
    return max(_STEP_SECONDS_MIN, settings.metrics_resolution)
