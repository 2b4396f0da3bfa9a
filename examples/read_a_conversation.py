"""Taking PostgreSQL's wire protocol apart with `protocol` alone.

No socket and no pool: bytes in, meaning out. The bytes below are what a driver sends to run one
prepared statement, and what a server answers; a recorded conversation is read in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol import backend, frontend
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader

FROM_DRIVER = (
    frontend.parse(b"s1", b"select $1::int * 2")
    + frontend.bind(statement=b"s1", parameters=[b"21"])
    + frontend.execute()
    + frontend.sync()
)
FROM_SERVER = bytes.fromhex(
    "3100000004"  # ParseComplete
    "3200000004"  # BindComplete
    "440000000c0001000000023432"  # DataRow
    "430000000d53454c454354203100"  # CommandComplete
    "5a0000000549"  # ReadyForQuery
)


def frames(received: bytes) -> Iterator[tuple[int, bytes]]:
    """Each message as its tag and its body. Raises ProtocolViolation."""
    reader = FrameReader()
    reader.feed(received)
    while (frame := reader.next_frame()) is not None:
        yield frame


def main() -> None:
    for tag, body in frames(FROM_DRIVER):
        print("driver", frontend.decode(tag, body))
    for tag, body in frames(FROM_SERVER):
        print("server", backend.decode(tag, body))
    try:
        frontend.decode(ord("B"), b"\0\0\0\x7f")
    except ProtocolViolation as violation:
        print("a Bind that promises more than it holds:", violation.message)


if __name__ == "__main__":
    main()
