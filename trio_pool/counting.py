"""What is counted for each database, while it happens.

The numbers are plain and only grow. Times are seconds. Apart from what is made of them
(trio_pool.metrics), because they are touched in every transaction and compiled.
"""

from __future__ import annotations

import bisect
import math
from typing import Final

from trio_pool.metrics import MICROSECONDS, Figures
from trio_pool.relay.state import Counters

# Upper bounds of the classes that durations are counted in, in seconds; the last has none.
BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)


class Durations:
    """How often something took how long.

    Only what the pool's clock saw to take any time is counted here; how often it took none is
    known from elsewhere, so that the steady path has nothing to count.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, seconds: float) -> None:
        """Once more, for so long."""
        self.counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def classes(self, total: int, resolution: float) -> list[tuple[float, int]]:
        """(bound, how many took at most so long) of `total`; the last bound is infinite.

        A time that was measured with a clock of steps of `resolution` seconds may be one step off
        either way: bounds of less than two steps would say nothing and are left out.
        """
        reached = max(0, total - sum(self.counts))
        found: list[tuple[float, int]] = []
        for bound, count in zip((*BOUNDS, math.inf), self.counts, strict=True):
            reached += count
            if bound >= 2 * resolution:
                found.append((bound, reached))
        return found


class Statistics:
    """Everything that is counted of one database; `counters` is what its relays count."""

    __slots__ = (
        *("counters", "query_seconds", "idle_seconds", "lease_seconds", "wait_seconds"),
        *("leases", "waits", "received", "sent"),
    )

    def __init__(self) -> None:
        self.counters = Counters()
        # Of transactions: while the server was asked something, and between that.
        self.query_seconds = 0.0
        self.idle_seconds = 0.0
        self.lease_seconds = 0.0
        self.wait_seconds = 0.0
        # Those that the clock saw to last.
        self.leases = Durations()
        self.waits = Durations()
        # Bytes from and to clients that have left; those still here have theirs on their wires.
        self.received = 0
        self.sent = 0

    def figures(self, received: int = 0, sent: int = 0) -> Figures:
        """A reading; the arguments are the bytes of clients that are still here."""
        counters = self.counters
        return Figures(
            assignments=counters.transactions,
            transactions=counters.transactions + counters.kept,
            queries=counters.queries,
            received=self.received + received,
            sent=self.sent + sent,
            transaction_time=int((self.query_seconds + self.idle_seconds) * MICROSECONDS),
            query_time=int(self.query_seconds * MICROSECONDS),
            wait_time=int(self.wait_seconds * MICROSECONDS),
            client_parses=counters.parses,
            server_parses=counters.replays,
            binds=counters.binds,
        )
