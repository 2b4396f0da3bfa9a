"""What one client notices while others are a nuisance.

A probe in a process of its own asks a small question every few milliseconds; meanwhile the
pooler gets something big to chew. `quiet` is the same without a nuisance: what the machine adds.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.benchmarks import accounting
from tests.benchmarks.bench import Bench, LoadFailed, NotOffered, Scale
from tests.benchmarks.client import Client, Refused
from tests.benchmarks.figures import Figures
from tests.benchmarks.helper import helper
from tests.benchmarks.ini import Needs, users_path
from tests.benchmarks.poolers import Running, way_to
from tests.benchmarks.workloads.load import Load, Work

_TEXT_BYTES: Final = 1_000_000
_TEXT_EVERY_SECONDS: Final = 0.1
_LOGINS_PER_SECOND: Final = 500
_LOGIN_THREADS: Final = 4
_RELOAD_EVERY_SECONDS: Final = 0.25

Nuisance = Callable[[Bench, Running, threading.Event], int]
"""Goes on until the event is set; how often it happened."""


def lag(scale: Scale) -> Iterator[Load]:
    """One load per nuisance."""
    many = Needs(auth="scram-sha-256", users=scale.users)
    scram = Needs(auth="scram-sha-256")
    logins = functools.partial(_in_threads, _logins, _LOGIN_THREADS)
    yield _load("quiet", "probe", Needs(), _nothing)
    yield _load("1 MB texts", "text", Needs(), _texts)
    yield _load(f"{_LOGINS_PER_SECOND} logins per second", "login", scram, logins)
    reloads = functools.partial(_reloads, needs=many)
    yield _load(f"reload of {scale.users:,} users", "reload", many, reloads)


def _load(variant: str, unit: str, needs: Needs, nuisance: Nuisance) -> Load:
    measure = functools.partial(_measure, nuisance=nuisance)
    return Load(workload="lag", variant=variant, work=Work(measure), needs=needs, unit=unit)


def _measure(bench: Bench, running: Running, nuisance: Nuisance) -> Figures:
    over = threading.Event()
    with (
        ThreadPoolExecutor(1) as worker,
        helper(bench, running, "probe", str(bench.scale.seconds)) as program,
    ):
        program.hear()
        begin = time.monotonic()
        times = worker.submit(nuisance, bench, running, over)
        try:
            heard = program.hear()
            seconds = time.monotonic() - begin
            over.set()
            count = times.result()
        except (LoadFailed, Refused, OSError) as failure:
            raise _explained(running, failure) from failure
        finally:
            over.set()
    found: Figures = json.loads(heard)
    if nuisance is not _nothing:
        found["units_per_second"] = count / seconds
    return found | {"peak_bytes": float(accounting.peak_bytes(running.pid))}


def _explained(running: Running, failure: Exception) -> LoadFailed:
    if isinstance(failure, LoadFailed) and accounting.is_alive(running.pid):
        return failure
    return LoadFailed(str(failure) if accounting.is_alive(running.pid) else "the pooler ended")


def _nothing(bench: Bench, running: Running, over: threading.Event) -> int:
    over.wait()
    return 0


def _texts(bench: Bench, running: Running, over: threading.Event) -> int:
    """An INSERT of the kind that programs write: many rows of literals in one text."""
    row = b"(%d, 'set of words; prepare, for one, and -- what looks like a comment'),"
    rows = b"".join(row % number for number in range(_TEXT_BYTES // (len(row) + 4)))
    text = b"select count(*) from (values %s) as given (number, words)" % rows[:-1]
    count = 0
    with Client(way_to(bench, running)) as client:
        while not over.wait(_TEXT_EVERY_SECONDS):
            client.ask(text)
            count += 1
    return count


def _in_threads(
    nuisance: Nuisance, threads: int, bench: Bench, running: Running, over: threading.Event
) -> int:
    with ThreadPoolExecutor(threads) as workers:
        shares = [workers.submit(nuisance, bench, running, over) for _ in range(threads)]
        return sum(share.result() for share in shares)


def _logins(bench: Bench, running: Running, over: threading.Event) -> int:
    """One thread's share; late ones follow at once, so that the rate holds if it can."""
    way = way_to(bench, running)
    count, begin = 0, time.monotonic()
    while not over.wait(
        max(0.0, begin + count * _LOGIN_THREADS / _LOGINS_PER_SECOND - time.monotonic())
    ):
        Client(way).socket.close()
        count += 1
    return count


def _reloads(bench: Bench, running: Running, over: threading.Event, needs: Needs) -> int:
    """The user list looks changed each time, so that nobody skips it."""
    if not running.ours_to_signal:
        raise NotOffered("a pooler that somebody else started is not signalled")
    count = 0
    while not over.wait(_RELOAD_EVERY_SECONDS):
        os.utime(users_path(bench, needs))
        os.kill(running.pid, signal.SIGHUP)
        count += 1
    return count
