"""One task that turns every ready connection in one sweep.

Every connected client and backend is registered once in a poller of our own; the poller's
descriptor is what Trio waits for. When it wakes, each ready wire is read and its turn called,
synchronously: the relay decides, the other wire is put to. No task is scheduled for a
transaction that needs no waiting, which is where the time goes otherwise.

Law: nothing called from a sweep may wait. A turn that raises is a bug: it is logged and ends
what that wire belongs to, and nobody else notices.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, cast

import trio

from trio_pool.bustle import told_of_others, trios_descriptor
from trio_pool.journal import Journal
from trio_pool.poller import IN, OUT, new_poller
from trio_pool.wire import Wire

log = Journal(__name__)

# Other tasks get their turn after so long in sweeps that follow each other, or so many wires turned
# in them, where any is known to have something to do, ...
_BUSY_SECONDS_MAX: Final = 0.002
_TURNS_MAX: Final = 128
# ... and after so long where that is not known.
_ALONE_SECONDS_MAX: Final = 0.008
# A sweep waits for no longer.
_REST_SECONDS_MAX: Final = 1.0
# What one sweep asks for at most. Why so few: CPython makes room for as many events as it might be
# told of, at every wait, and for a thousand that costs as much as the wait.
_READY_MAX: Final = 64


def _made_once(number: object) -> object:
    """The same, as an object: the compiler would make one at every wait."""
    return number


_NO_TIME: Final = _made_once(0.0)
_READY_NUMBER: Final = _made_once(_READY_MAX)

_time: Final = time.perf_counter
# Poller.poll for what is an object already.
_Poll = Callable[[object, object], list[tuple[int, int]]]


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

    __slots__ = ("clock", "_dedicated", "_due", "_called", "_poller", "_poll", "_wires", "_others")

    def __init__(self, dedicated: bool = False) -> None:
        """`dedicated`: no program's tasks share this Trio run, which may then be kept waiting."""
        self._dedicated = dedicated
        self.clock = Clock()
        # When some task of Trio's has slept for long enough, by the sweeps' clock.
        self._due = float("inf")
        # Something has happened that Trio waits for.
        self._called = False
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
        self._poller.register(descriptor, IN)

    def unregister(self, wire: Wire) -> None:
        """`wire` no longer takes part."""
        if self._wires[wire.descriptor] is not None:
            self._wires[wire.descriptor] = None
            self._poller.unregister(wire.descriptor)

    def watch(self, wire: Wire) -> None:
        """What `wire` waits for has changed."""
        mask = (IN if wire.reading else 0) | (OUT if wire.sending else 0)
        self._poller.modify(wire.descriptor, mask)

    def attend(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call `call` in every sweep that finds `descriptor` readable: a listening socket."""
        self._others[descriptor] = call
        self._poller.register(descriptor, IN)

    def neglect(self, descriptor: int) -> None:
        """The opposite of `attend`. Idempotent."""
        if self._others.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    async def run(self) -> None:
        """Turn ready wires for ever."""
        trios = trios_descriptor() if self._dedicated else None
        if trios is None:
            await self._run_within_trio()
        else:
            await self._run_around_trio(trios)

    async def _run_within_trio(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._poller.fileno())
            self.clock.read()
            begun = self.clock.now
            while self.sweep(_NO_TIME) and self.clock.now - begun <= _ALONE_SECONDS_MAX:
                pass

    async def _run_around_trio(self, trios: int) -> None:
        """Our poller watches what Trio waits for, too; Trio has its turn when there is a reason.

        Why: between a query and its answer there is less time than it takes Trio to go to sleep and
        to wake up again, and to let it look for what there is costs as much as four transactions.
        """
        self.attend(trios, self._call_trio)
        try:
            with told_of_others() as others:
                while True:
                    await trio.lowlevel.checkpoint()
                    self.clock.read()
                    rest = trio.lowlevel.current_statistics().seconds_to_next_deadline
                    self._due = self.clock.now + min(rest, _REST_SECONDS_MAX)
                    self._sweep_until_called(others)
        finally:
            self.neglect(trios)

    def _call_trio(self) -> None:
        self._called = True

    def _sweep_until_called(self, others: set[trio.lowlevel.Task]) -> None:
        """Sweep until there is something to do for Trio, whose tasks `others` are to run."""
        self._called = False
        turned = 0
        begun = self.clock.now
        while True:
            busy = len(others) > 0
            rest = self._due - self.clock.now
            count = self.sweep(_NO_TIME if busy or rest <= 0.0 else rest)
            turned += count
            if self._called or self.clock.now >= self._due:
                return
            passed = self.clock.now - begun
            if busy and (not count or turned > _TURNS_MAX or passed > _BUSY_SECONDS_MAX):
                return

    def close(self) -> None:
        """Release the poller; every wire must have left."""
        self._poller.close()

    def sweep(self, rest: object) -> int:
        """Turn every wire that is ready, or is so within `rest` seconds; how many were."""
        ready = self._poll(rest, _READY_NUMBER)
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
                if mask == IN and wire.reading:
                    wire.read()
                    continue
                if mask & OUT:
                    wire.drain()
                # A hang-up is reported even while reading is paused.
                if not wire.closed and (mask & IN and wire.reading or mask & ~(IN | OUT)):
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
