"""Much data for few messages, and many small messages: what a gigabyte costs the pooler.

Bytes are those on the client's wire. The client is a plain reader or writer, so that psql's
own work does not slow the stream down.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Final

from protocol import frontend
from tests.benchmarks import accounting, figures
from tests.benchmarks.bench import Bench, LoadFailed, Scale
from tests.benchmarks.client import Client, Refused
from tests.benchmarks.figures import Figures
from tests.benchmarks.poolers import Running, way_to
from tests.benchmarks.workloads.load import Load, Work

_LINE: Final = b"x" * 999 + b"\n"
_LINES_PER_MESSAGE: Final = 8  # psql fills 8 KiB buffers.
_MESSAGES_PER_SEND: Final = 32

Stream = Callable[[Client, Scale], int]


def copy_out(scale: Scale) -> Iterator[Load]:
    """COPY TO STDOUT, lines of a kilobyte."""
    lines = scale.bulk_bytes // len(_LINE)
    sql = f"copy (select repeat('x', 999) from generate_series(1, {lines})) to stdout"
    yield _load("copyout", f"{scale.bulk_bytes // 10**6} MB", _answer_of(sql, scale.bulk_bytes))


def copy_in(scale: Scale) -> Iterator[Load]:
    """COPY FROM STDIN; the server reads the lines and throws them away."""
    yield _load("copyin", f"{scale.bulk_bytes // 10**6} MB", _send_lines)


def rows(scale: Scale) -> Iterator[Load]:
    """A DataRow of some twenty bytes, a million times."""
    sql = f"select i, 'row' from generate_series(1, {scale.rows}) as i"
    yield _load("rows", f"{scale.rows:,} rows", _answer_of(sql, scale.rows * 17))


def huge_row(scale: Scale) -> Iterator[Load]:
    """One DataRow that no buffer should be asked to hold."""
    size = scale.huge_row_bytes
    yield _load("hugerow", f"{size // 10**6} MB", _answer_of(f"select repeat('x', {size})", size))


def _load(workload: str, variant: str, stream: Stream) -> Load:
    measure = functools.partial(_measure, stream=stream)
    return Load(workload=workload, variant=variant, work=Work(measure), unit="GB")


def _measure(bench: Bench, running: Running, stream: Stream) -> Figures:
    """The first query has the pooler open its backend, outside of what is measured."""
    try:
        with Client(way_to(bench, running)) as client:
            client.ask(b"select 1")
            before, begin = accounting.usage(running.pid), time.monotonic()
            gigabytes = stream(client, bench.scale) / 1e9
            seconds = time.monotonic() - begin
            used = accounting.usage(running.pid) - before
    except (Refused, OSError) as failure:
        raise LoadFailed(f"the client: {failure}") from failure
    found = figures.work(gigabytes, seconds, used)
    return found | {"peak_bytes": float(accounting.peak_bytes(running.pid))}


def _answer_of(sql: str, at_least: int) -> Stream:
    def stream(client: Client, scale: Scale) -> int:
        received = client.ask(sql.encode())
        if received < at_least:
            raise Refused(f"{received} bytes came, not {at_least}")
        return received

    return stream


def _send_lines(client: Client, scale: Scale) -> int:
    client.send(frontend.query(b"copy bench_sink from stdin where false"))
    client.expect(b"G")
    block = frontend.copy_data(_LINE * _LINES_PER_MESSAGE) * _MESSAGES_PER_SEND
    sent = 0
    while sent < scale.bulk_bytes:
        client.send(block)
        sent += len(block)
    client.send(frontend.copy_done())
    client.drain()
    return sent
