"""Whether other tasks have something to do, which a sweep that waits would keep from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import trio


class Waiter(Protocol):
    """Who waits only while nobody else has anything to do."""

    stirred: bool


class _Bustle(trio.abc.Instrument):
    """Trio tells it of every task that is to run."""

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self._waiter.stirred = True


@contextlib.contextmanager
def told_of_others(waiter: Waiter) -> Iterator[None]:
    """Within this block `waiter.stirred` becomes True whenever a task of this run is scheduled."""
    bustle = _Bustle(waiter)
    trio.lowlevel.add_instrument(bustle)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(bustle)
