"""A conversation that alternates strictly, as a generator.

An exchange yields the bytes to send (perhaps none) and is sent the next message received, as
its tag and body; it returns what came of it. Whoever drives it owns the socket, the clock
and the thread: the step that is slow because of PBKDF2 may be run in any thread, since a
generator does not care where it is resumed.

    step = next(exchange)
    while True:
        send(step)
        step = exchange.send(receive())      # StopIteration carries the result

Only start-up and authentication are exchanges. After ReadyForQuery both sides may speak at
once, and a generator would lie.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

R = TypeVar("R")

Message = tuple[int, bytes]
Exchange = Generator[bytes, Message, R]
