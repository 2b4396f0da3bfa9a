"""One task that turns every ready connection in one sweep.

Every connected client and backend is registered once in a poller of our own; the poller's
descriptor is what Trio waits for. When it wakes, each ready wire is read and its turn called,
synchronously: the relay decides, the other wire is put to. No task is scheduled for a
transaction that needs no waiting, which is where the time goes otherwise.

Law: nothing called from a sweep may wait. A turn that raises is a bug: it is logged and ends
what that wire belongs to, and nobody else notices.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

import trio

from trio_pool.bustle import told_of_others
from trio_pool.journal import Journal
from trio_pool.wire import Wire

log = Journal(__name__)

_IN: Final = 1
_OUT: Final = 4
# Other tasks get their turn after so long in sweeps that follow each other, or so many wires turned
# in them, where any is known to have something to do, ...
_BUSY_SECONDS_MAX: Final = 0.002
_TURNS_MAX: Final = 128
# ... and after so long in any case: Trio looks for what they wait for. Why not as soon: that costs
# as much as two transactions.
_ALONE_SECONDS_MAX: Final = 0.008
# What one sweep asks for at most. Why so few: CPython makes room for as many events as it might be
# told of, at every wait, and for a thousand that costs as much as the wait.
_READY_MAX: Final = 64
# For so long a sweep waits for the next thing to happen, where the loop is ours alone: between a
# query and its answer there is less time than it takes Trio to go to sleep and wake up again.
# Why not shorter: a timer that is due before the kernel's next tick (4 ms apart on most systems)
# is programmed into the processor at every wait and taken out again, for 1 to 2 µs each time.
_LINGER_SECONDS: Final = 0.005


def _made_once(number: object) -> object:
    """The same, as an object: the compiler would make one at every wait."""
    return number


_LINGER: Final = _made_once(_LINGER_SECONDS)
_NO_TIME: Final = _made_once(0.0)
_READY_NUMBER: Final = _made_once(_READY_MAX)

_time: Final = time.perf_counter
# Poller.poll for what is an object already.
_Poll = Callable[[object, object], list[tuple[int, int]]]


class Poller(Protocol):
    """What epoll offers, and what is made of kqueue elsewhere."""

    def fileno(self) -> int:
        """The descriptor that is readable when anything is ready."""

    def register(self, descriptor: int, mask: int, /) -> None:
        """Begin to watch."""

    def modify(self, descriptor: int, mask: int, /) -> None:
        """Watch for something else."""

    def unregister(self, descriptor: int, /) -> None:
        """Stop to watch."""

    def poll(self, timeout: float, count_max: int, /) -> list[tuple[int, int]]:
        """(descriptor, mask) of what is ready, or of so many of it."""

    def close(self) -> None:
        """Release the descriptor."""


def new_poller() -> Poller:
    """The best poller of this system."""
    if sys.platform == "linux":
        return select.epoll()
    return _SelectorPoller()


class _SelectorPoller:
    """The same over the standard library's selector, for systems without epoll."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def fileno(self) -> int:
        fileno: int = self._selector.fileno()
        return fileno

    def register(self, descriptor: int, mask: int, /) -> None:
        if mask:
            self._selector.register(descriptor, _to_events(mask))

    def modify(self, descriptor: int, mask: int, /) -> None:
        known = descriptor in self._selector.get_map()
        if known:
            self._selector.unregister(descriptor)
        self.register(descriptor, mask)

    def unregister(self, descriptor: int, /) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def poll(self, timeout: float, count_max: int, /) -> list[tuple[int, int]]:
        ready = self._selector.select(timeout)
        return [(key.fd, _to_mask(events)) for key, events in ready[:count_max]]

    def close(self) -> None:
        self._selector.close()


def _to_events(mask: int) -> int:
    readable = selectors.EVENT_READ if mask & _IN else 0
    return readable | (selectors.EVENT_WRITE if mask & _OUT else 0)


def _to_mask(events: int) -> int:
    readable = _IN if events & selectors.EVENT_READ else 0
    return readable | (_OUT if events & selectors.EVENT_WRITE else 0)


class Bell:
    """Rung once, it wakes the one task that waits for it.

    An Event for a tenth of the memory, which counts where thousands of tasks are parked.
    """

    __slots__ = ("_rung", "_sleeper")

    def __init__(self) -> None:
        self._rung = False
        self._sleeper: trio.lowlevel.Task | None = None

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._rung

    def set(self) -> None:
        """Ring; whoever waits wakes up. Idempotent."""
        self._rung = True
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None:
            trio.lowlevel.reschedule(sleeper)

    def wait(self) -> Awaitable[object]:
        """To be awaited at once, by one task; a checkpoint."""
        # Why no coroutine of our own: its frame would be kept for as long as the task is parked.
        if self._rung:
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105
        assert self._sleeper is None, "somebody waits already"
        self._sleeper = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._abort)  # noqa: ASYNC105

    def _abort(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED


class Clock:
    """The time of the present sweep, in seconds since whenever: read once for all its turns."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0
        self.read()

    def read(self) -> None:
        """What `now` is from here on."""
        self.now = _time()


class Switchboard:
    """Registers wires and turns them. `run` serves until it is cancelled."""

    __slots__ = ("clock", "stirred", "_due", "_poller", "_poll", "_wires", "_others", "_lingers")

    def __init__(self, dedicated: bool = False) -> None:
        """`dedicated`: no program's tasks share this Trio run, which may then be kept waiting."""
        self._lingers = dedicated
        self.clock = Clock()
        # Some task has been scheduled since Trio last had its turn.
        self.stirred = False
        # When some task of Trio's has slept for long enough, by the sweeps' clock.
        self._due = float("inf")
        self._poller = new_poller()
        self._poll = cast("_Poll", self._poller.poll)
        # By descriptor.
        self._wires: list[Wire | None] = []
        self._others: dict[int, Callable[[], None]] = {}

    def register(self, wire: Wire) -> None:
        """`wire` takes part from now on."""
        descriptor = wire.descriptor
        missing = descriptor + 1 - len(self._wires)
        if missing > 0:
            self._wires += [None] * missing
        self._wires[descriptor] = wire
        self._poller.register(descriptor, _IN)

    def unregister(self, wire: Wire) -> None:
        """`wire` no longer takes part."""
        if self._wires[wire.descriptor] is not None:
            self._wires[wire.descriptor] = None
            self._poller.unregister(wire.descriptor)

    def watch(self, wire: Wire) -> None:
        """What `wire` waits for has changed."""
        mask = (_IN if wire.reading else 0) | (_OUT if wire.sending else 0)
        self._poller.modify(wire.descriptor, mask)

    def attend(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call `call` in every sweep that finds `descriptor` readable: a listening socket."""
        self._others[descriptor] = call
        self._poller.register(descriptor, _IN)

    def neglect(self, descriptor: int) -> None:
        """The opposite of `attend`. Idempotent."""
        if self._others.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    async def run(self) -> None:
        """Turn ready wires for ever."""
        with told_of_others(self) if self._lingers else contextlib.nullcontext():
            while True:
                await trio.lowlevel.wait_readable(self._poller.fileno())
                self.stirred = False
                self.clock.read()
                if self._lingers:
                    statistics = trio.lowlevel.current_statistics()
                    self._due = self.clock.now + statistics.seconds_to_next_deadline
                self._turn_while_busy()

    def _turn_while_busy(self) -> None:
        """Sweep until nothing happens any more, or until it is the turn of other tasks."""
        turned = 0
        begun = self.clock.now
        while True:
            count = self.sweep()
            turned += count
            passed = self.clock.now - begun
            if not count or passed > _ALONE_SECONDS_MAX or self.clock.now >= self._due:
                return
            if self.stirred and (turned > _TURNS_MAX or passed > _BUSY_SECONDS_MAX):
                return

    def close(self) -> None:
        """Release the poller; every wire must have left."""
        self._poller.close()

    def sweep(self) -> int:
        """Turn every wire that is ready; how many were."""
        linger = _NO_TIME
        if self._lingers and not self.stirred:
            left = self._due - self.clock.now
            linger = _LINGER if left > _LINGER_SECONDS else max(0.0, left)
        ready = self._poll(linger, _READY_NUMBER)
        self.clock.now = _time()
        wires = self._wires
        for descriptor, mask in ready:
            wire = wires[descriptor] if descriptor < len(wires) else None
            if wire is None:
                # No wire, or an earlier turn of this very sweep closed it.
                call = self._others.get(descriptor)
                if call is not None:
                    call()
                continue
            try:
                if mask == _IN and wire.reading:
                    wire.read()
                    continue
                if mask & _OUT:
                    wire.drain()
                # A hang-up is reported even while reading is paused.
                if not wire.closed and (mask & _IN and wire.reading or mask & ~(_IN | _OUT)):
                    wire.read()
            except Exception as failure:
                log.exception("a turn failed descriptor=%d", descriptor)
                _end(wire, failure)
        return len(ready)


def _end(wire: Wire, failure: Exception) -> None:
    """End what a wire belongs to; if that fails, too, at least the other side learns of it."""
    try:
        wire.turn.on_failure(failure)
    except Exception:
        log.exception("the end of a turn failed descriptor=%d", wire.descriptor)
        wire.close()
