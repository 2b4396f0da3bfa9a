"""Thousands of clients that are connected, and few of them busy.

`crowd` asks what an idle client costs in memory, `flat` whether a transaction costs more the
more clients there are.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Final

from tests.benchmarks import accounting, figures
from tests.benchmarks.bench import Bench, Scale
from tests.benchmarks.figures import Figures
from tests.benchmarks.helper import helper
from tests.benchmarks.ini import Needs
from tests.benchmarks.poolers import Running
from tests.benchmarks.workloads.load import Load, Work, clients

_ACTIVE_SHARE: Final = 0.05
_CROWD_BACKENDS: Final = 100
_FLAT_ACTIVE: Final = 10
_FLAT_CLIENTS: Final = (10, 100, 1_000, 10_000)


def crowd(scale: Scale) -> Iterator[Load]:
    """Many clients, one in twenty of them with a transaction at any time."""
    active = max(1, round(scale.crowd * _ACTIVE_SHARE))
    yield Load(
        workload="crowd",
        variant=f"{clients(scale.crowd)}, {active} active",
        work=Work(functools.partial(_measure, number=scale.crowd, active=active)),
        needs=Needs(pool_size=_CROWD_BACKENDS),
    )


def flat(scale: Scale) -> Iterator[Load]:
    """The same load from ever more clients."""
    for number in _FLAT_CLIENTS:
        if number <= scale.crowd:
            yield Load(
                workload="flat",
                variant=f"{clients(number)}, {_FLAT_ACTIVE} active",
                work=Work(functools.partial(_measure_flat, number=number)),
            )


def _measure_flat(bench: Bench, running: Running, number: int) -> Figures:
    """Without memory: a handful of clients is less than what a process takes by chance."""
    found = _measure(bench, running, number, _FLAT_ACTIVE)
    del found["bytes_per_client"]
    return found


def _measure(bench: Bench, running: Running, number: int, active: int) -> Figures:
    """The growth of memory is that of clients that have logged in and asked for nothing."""
    seconds = bench.scale.seconds
    words = (str(number), str(active), str(seconds))
    empty = accounting.resident_bytes(running.pid)
    with helper(bench, running, "crowd", *words) as program:
        program.hear()
        grown = accounting.resident_bytes(running.pid) - empty
        program.go_on()
        program.hear()
        before = accounting.usage(running.pid)
        found: Figures = json.loads(program.hear())
        used = accounting.usage(running.pid) - before
        peak = accounting.peak_bytes(running.pid)
        program.go_on()
    return {
        **figures.work(found.pop("units"), seconds, used),
        **found,
        "peak_bytes": float(peak),
        "bytes_per_client": grown / number,
    }
