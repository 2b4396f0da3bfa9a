"""One load: a workload in one variant."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figures
from tests.benchmarks.ini import Needs
from tests.benchmarks.poolers import Running, Side

Measure = Callable[[Bench, Running], Figures]
Repeat = Callable[[Bench, Running, int], int]
"""Have the clients run at least so many transactions; how many these were."""


@attrs.frozen
class Work:
    """What is done to a pooler: for a while, or a fixed number of times where that can be."""

    measure: Measure
    repeat: Repeat | None = None


@attrs.frozen
class Instead:
    """What a side does that lacks what a load is about, and how the table calls that."""

    lacking: str
    label: str
    work: Work


@attrs.frozen(kw_only=True)
class Load:
    """`work` is done to a pooler that was started with `needs`."""

    workload: str
    variant: str
    work: Work
    needs: Needs = attrs.field(factory=Needs)
    unit: str = "transaction"
    instead: Instead | None = None

    def for_side(self, side: Side) -> tuple[Work, str]:
        """What this side does, and a note when that is something else."""
        if self.instead is None or self.instead.lacking in side.tracks:
            return self.work, ""
        return self.instead.work, self.instead.label


def clients(number: int) -> str:
    """The variant of a load with this many clients."""
    return "1 client" if number == 1 else f"{number} clients"
