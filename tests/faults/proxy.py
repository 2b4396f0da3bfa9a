"""A proxy that does to a byte stream what networks and crashing programs do, at a given byte.

It stands between a client and the pool, or between the pool and PostgreSQL, and passes everything
on until its plan says otherwise. Bytes are counted from the moment the plan was made.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import socket
import struct
from typing import Final

import attrs
import trio
import trio.testing

_CHUNK_BYTES: Final = 65_536


class Fault(enum.Enum):
    """What happens at the byte."""

    CLOSE = "close"
    RESET = "reset"
    # Nothing passes any more, and after a while both ends find out (keepalive).
    STALL = "stall"
    # Nothing passes for a while, and then everything.
    PAUSE = "pause"
    # From here on every byte comes alone.
    TRICKLE = "trickle"


class Direction(enum.Enum):
    """Where the bytes go."""

    UP = "to the server"
    DOWN = "to the client"


@attrs.define(eq=False)
class Plan:
    """What is to happen to the first link that carries so many bytes in this direction."""

    fault: Fault
    direction: Direction
    offset: int
    link: Link | None = None
    struck: trio.Event = attrs.field(factory=trio.Event)

    def end(self) -> None:
        """A stall is found out; a pause is over."""
        assert self.link is not None
        if self.fault is Fault.STALL:
            self.link.reset()
        self.link.moving.set()


@attrs.define(eq=False)
class Link:
    """One client of the proxy and its way to the target. `port` is the client's own."""

    near: trio.SocketStream
    far: trio.SocketStream
    port: int
    carried: dict[Direction, int] = attrs.field(factory=lambda: dict.fromkeys(Direction, 0))
    spared: bool = False
    moving: trio.Event = attrs.field(factory=trio.Event)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def reset(self) -> None:
        """Both ends see a connection reset."""
        for stream in (self.near, self.far):
            with contextlib.suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Both ends see the end of the stream."""
        self.near.socket.close()
        self.far.socket.close()
        self.scope.cancel()


@attrs.define(eq=False)
class Proxy:
    """Listens on a port of its own. Links that are `spared` are left alone by the plan."""

    target: tuple[str, int]
    links: set[Link] = attrs.field(factory=set)
    plan: Plan | None = None
    port: int = 0
    carried: dict[Direction, int] = attrs.field(factory=lambda: dict.fromkeys(Direction, 0))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            listen = functools.partial(trio.serve_tcp, host="127.0.0.1")
            (listener,) = await nursery.start(listen, self._serve, 0)
            self.port = listener.socket.getsockname()[1]
            task_status.started()

    def arm(self, plan: Plan | None) -> None:
        """Count from here on, and do as `plan` says."""
        self.plan = plan
        self.carried = dict.fromkeys(Direction, 0)
        for link in self.links:
            link.carried = dict.fromkeys(Direction, 0)

    def spare(self, port: int) -> None:
        """Leave the link alone that comes from this port, and only that."""
        for link in self.links:
            link.spared = link.port == port

    async def _serve(self, near: trio.SocketStream) -> None:
        try:
            far = await trio.open_tcp_stream(*self.target)
        except OSError:
            near.socket.close()
            return
        try:
            port = near.socket.getpeername()[1]
        except OSError:
            port = 0
        link = Link(near, far, port)
        link.moving.set()
        self.links.add(link)
        try:
            with link.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pump, link, near, far, Direction.UP)
                    nursery.start_soon(self._pump, link, far, near, Direction.DOWN)
        finally:
            self.links.discard(link)
            link.close()

    async def _pump(
        self,
        link: Link,
        source: trio.SocketStream,
        target: trio.SocketStream,
        direction: Direction,
    ) -> None:
        try:
            while data := await source.receive_some(_CHUNK_BYTES):
                await self._pass(link, target, direction, bytes(data))
            await link.moving.wait()
            await target.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # As a router would: the other end is told that there is nobody any more.
            link.reset()

    async def _pass(
        self, link: Link, target: trio.SocketStream, direction: Direction, data: bytes
    ) -> None:
        plan = self.plan
        before = link.carried[direction]
        link.carried[direction] += len(data)
        if not link.spared:
            self.carried[direction] += len(data)
        await link.moving.wait()
        concerned = plan is not None and plan.direction is direction and not link.spared
        if not concerned or plan is None or plan.link not in (None, link):
            await target.send_all(data)
            return
        left = plan.offset - before
        if left >= len(data):
            await target.send_all(data)
            return
        if left > 0:
            await target.send_all(data[:left])
            # What came before the fault arrives before it.
            await trio.testing.wait_all_tasks_blocked()
        rest = data[max(left, 0) :]
        if self.plan is plan:
            await self._strike(plan, link, target, rest)
        else:
            # Hazard: the run is over; what breaks now would break the next one.
            await target.send_all(rest)

    async def _strike(self, plan: Plan, link: Link, target: trio.SocketStream, rest: bytes) -> None:
        first, plan.link = plan.link is None, link
        plan.struck.set()
        if plan.fault is Fault.TRICKLE:
            for at in range(len(rest)):
                await target.send_all(rest[at : at + 1])
                await trio.lowlevel.checkpoint()
        elif plan.fault is Fault.CLOSE:
            link.close()
        elif plan.fault is Fault.RESET:
            link.reset()
        else:
            if first:
                link.moving = trio.Event()
            await link.moving.wait()
            await target.send_all(rest)
