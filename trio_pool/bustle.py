"""What Trio's other tasks want, for one that keeps the whole loop to itself in between."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator

import trio


class _Bustle(trio.abc.Instrument):
    """Trio tells it of every task that is to run, and of every one that does."""

    def __init__(self) -> None:
        self.tasks: set[trio.lowlevel.Task] = set()

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self.tasks.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.tasks.discard(task)


@contextlib.contextmanager
def told_of_others() -> Iterator[set[trio.lowlevel.Task]]:
    """The tasks of this run that are to run and have not begun to: kept up within this block.

    A checkpoint later it knows of all of them.
    """
    bustle = _Bustle()
    trio.lowlevel.add_instrument(bustle)
    try:
        yield bustle.tasks
    finally:
        trio.lowlevel.remove_instrument(bustle)


def trios_descriptor() -> int | None:
    """Readable when something has happened that a task of this run waits for, or a thread calls.

    None where that cannot be known: Trio shows it on no system but Linux, and there only to those
    who look behind its names. Must be called within the run.
    """
    if sys.platform != "linux":
        return None
    try:
        from trio._core._run import GLOBAL_RUN_CONTEXT

        manager = GLOBAL_RUN_CONTEXT.runner.io_manager
    except (ImportError, AttributeError):
        return None
    epoll = getattr(manager, "_epoll", None)
    return epoll.fileno() if isinstance(epoll, select.epoll) else None
