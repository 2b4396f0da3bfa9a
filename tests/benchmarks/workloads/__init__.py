"""Every workload, by the name that `--workloads` takes.

A workload is a function from the scale to its loads. `queries` are pgbench's, `bulk` is few and
large, `crowds` are thousands of clients, `lag` is what one client notices of the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from tests.benchmarks.bench import Scale
from tests.benchmarks.workloads import bulk, crowds, lag, queries
from tests.benchmarks.workloads.load import Load

WORKLOADS: Final[Mapping[str, Callable[[Scale], Iterable[Load]]]] = {
    "simple": functools.partial(queries.selects, mode="simple"),
    "extended": functools.partial(queries.selects, mode="extended"),
    "prepared": functools.partial(queries.selects, mode="prepared"),
    "sqlprepare": queries.sql_prepare,
    "replay": queries.replay,
    "copyout": bulk.copy_out,
    "copyin": bulk.copy_in,
    "rows": bulk.rows,
    "hugerow": bulk.huge_row,
    "tls": queries.over_tls,
    "churn-trust": functools.partial(queries.churn, auth="trust"),
    "churn-scram": functools.partial(queries.churn, auth="scram-sha-256"),
    "crowd": crowds.crowd,
    "flat": crowds.flat,
    "lag": lag.lag,
}


def loads(names: Iterable[str], scale: Scale) -> Iterator[Load]:
    """The loads of these workloads, in their order."""
    for name in names:
        yield from WORKLOADS[name](scale)
