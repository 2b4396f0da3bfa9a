"""Playing a linear exchange (protocol.exchange) over a stream.

The driver of our own logins at servers; a client's is taken step by step (trio_pool.login). Steps
that run PBKDF2 are resumed in a worker thread, a few at a time, so that a burst of logins does not
hold up the switchboard.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import trio

from protocol.exchange import Exchange, Message
from protocol.framing import FrameReader

R = TypeVar("R")

# PBKDF2 releases the interpreter lock; more threads than cores would only queue.
_HASHING = 2
_READ_BYTES = 8_192


class PeerClosed(Exception):
    """The peer went away in the middle of an exchange."""


class Hasher:
    """Runs slow steps in threads, at most a few at once."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(_HASHING)

    async def run(self, step: Callable[[], R]) -> R:
        """The result of `step`, computed outside of the loop; cancellation does not wait."""
        return await trio.to_thread.run_sync(step, limiter=self._limiter, abandon_on_cancel=False)


async def next_message(stream: trio.abc.Stream, reader: FrameReader) -> Message:
    """The next whole message. Raises PeerClosed and ProtocolViolation."""
    while (message := reader.next_frame()) is None:
        try:
            data = await stream.receive_some(_READ_BYTES)
        except trio.BrokenResourceError as broken:
            raise PeerClosed from broken
        if not data:
            raise PeerClosed
        reader.feed(bytes(data))
    return message


async def conduct(
    exchange: Exchange[R],
    stream: trio.abc.Stream,
    reader: FrameReader,
    hasher: Hasher,
    slow: Callable[[Message], bool],
) -> R:
    """Drive `exchange` to its end; what it raises is raised.

    `slow` tells which messages make the exchange compute for long; those steps go to `hasher`.
    """
    out, result = next(exchange), None
    try:
        while result is None:
            if out:
                await stream.send_all(out)
            message = await next_message(stream, reader)
            if slow(message):
                out, result = await hasher.run(functools.partial(resumed, exchange, message))
            else:
                out, result = resumed(exchange, message)
    except trio.BrokenResourceError as broken:
        raise PeerClosed from broken
    return result


def resumed(exchange: Exchange[R], message: Message) -> tuple[bytes, R | None]:
    """One step of `exchange`: what to send, or else its result. May be called in a thread."""
    try:
        return exchange.send(message), None
    except StopIteration as stop:
        result: R = stop.value
        return b"", result
