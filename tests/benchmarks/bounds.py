"""What our side may cost, relative to the peer in the same run or in absolute terms.

The table is the project's own promise; `judge` only looks figures up in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from tests.benchmarks.figures import Figures

_BUSY: Final = ("16 clients", "64 clients")
_CPU: Final = "cpu_us_per_unit"


@attrs.frozen(kw_only=True)
class Bound:
    """For these workloads and variants (none: all), a figure must be `at_most` or `at_least`.

    `form` restricts it to the compiled or the pure build; `absolute` means that our own figure
    is bounded, not its ratio to the peer's.
    """

    workloads: tuple[str, ...]
    figure: str
    limit: float
    goal: float
    variants: tuple[str, ...] = ()
    form: str | None = None
    at_least: bool = False
    absolute: bool = False

    def covers(self, workload: str, variant: str, form: str) -> bool:
        return (
            workload in self.workloads
            and (not self.variants or variant in self.variants)
            and self.form in (None, form)
        )

    def is_met(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit


BOUNDS: Final = (
    Bound(
        workloads=("simple",),
        variants=_BUSY,
        figure=_CPU,
        form="compiled",
        limit=1.15,
        goal=0.95,
    ),
    Bound(
        workloads=("extended", "prepared"),
        variants=_BUSY,
        figure=_CPU,
        form="compiled",
        limit=1.25,
        goal=0.95,
    ),
    Bound(
        workloads=("simple", "extended", "prepared"),
        variants=_BUSY,
        figure=_CPU,
        form="pure",
        limit=1.8,
        goal=1.4,
    ),
    Bound(
        workloads=("simple", "extended", "prepared"),
        variants=("1 client",),
        figure="p50_ms",
        limit=1.3,
        goal=1.0,
    ),
    Bound(workloads=("copyout", "rows", "hugerow"), figure=_CPU, limit=0.7, goal=0.4),
    Bound(
        workloads=("crowd",), figure="bytes_per_client", limit=6000.0, goal=3000.0, absolute=True
    ),
    Bound(
        workloads=("churn-trust", "churn-scram"),
        figure="units_per_second",
        limit=1 / 2.0,
        goal=1 / 1.2,
        at_least=True,
    ),
)


@attrs.frozen
class Verdict:
    """One bound beside what was measured."""

    bound: Bound
    value: float

    @property
    def met(self) -> bool:
        return self.bound.is_met(self.value, self.bound.limit)

    @property
    def goal_met(self) -> bool:
        return self.bound.is_met(self.value, self.bound.goal)


def judge(
    workload: str, variant: str, form: str, ours: Figures, ratio: Figures
) -> Iterator[Verdict]:
    """Every bound for this load that the figures allow to be judged."""
    for bound in BOUNDS:
        measured = ours if bound.absolute else ratio
        if bound.covers(workload, variant, form) and bound.figure in measured:
            yield Verdict(bound, measured[bound.figure])
