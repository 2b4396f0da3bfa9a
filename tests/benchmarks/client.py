"""A client that reads fast and looks at little, over a blocking socket.

Not to be what is measured: it receives into one buffer and knows the end of an answer by its
last six bytes, ReadyForQuery in an idle session. What the server sends here never looks like it.
"""

from __future__ import annotations

import base64
import functools
import os
import socket
from typing import Final, Self

import attrs

from protocol import frontend, handshake, scram
from protocol.framing import FrameReader
from protocol.stored_secrets import PlainSecret

READY: Final = b"Z\x00\x00\x00\x05I"
_BUFFER_BYTES: Final = 1 << 20
PATIENCE_SECONDS: Final = 60.0

# Why: five hundred logins per second must not be five hundred times PBKDF2 on our side.
_derive = functools.cache(scram.salted_password)


class Refused(Exception):
    """The other side did not do what was asked, or went away; carries its words."""


@attrs.frozen(kw_only=True)
class Way:
    """Where to log in, and as whom."""

    host: str
    port: int
    user: str
    password: str = attrs.field(repr=False)
    database: str


class Client:
    """One client, logged in when it exists."""

    def __init__(self, way: Way) -> None:
        self.socket = socket.create_connection((way.host, way.port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(0)
        try:
            self._log_in(way)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, sql: bytes) -> int:
        """Run a simple query and throw its answer away; the answer's bytes. Raises Refused."""
        self.send(frontend.query(sql))
        return self.drain()

    def drain(self) -> int:
        """Read up to ReadyForQuery; how many bytes that were. Raises Refused."""
        if not self._buffer:
            self._buffer = bytearray(_BUFFER_BYTES)
        total, tail = 0, b""
        while tail != READY:
            count = self.socket.recv_into(self._buffer)
            if not count:
                raise Refused("closed by the other side")
            if not total and self._buffer[:1] == b"E":
                raise Refused(_words(self._buffer[:count]))
            total += count
            tail = (tail + self._buffer[max(0, count - len(READY)) : count])[-len(READY) :]
        return total

    def expect(self, tag: bytes) -> None:
        """Read one small answer, which must begin with this tag. Raises Refused."""
        answer = self.socket.recv(65536)
        if answer[:1] != tag:
            raise Refused(_words(answer))

    def _log_in(self, way: Way) -> None:
        frames = FrameReader()
        exchange = handshake.log_in(
            handshake.Credentials(way.user.encode(), PlainSecret(way.password.encode())),
            [(b"database", way.database.encode())],
            nonce=base64.b64encode(os.urandom(18)),
            derive=_derive,
        )
        self.send(next(exchange))
        try:
            while True:
                while (frame := frames.next_frame()) is None:
                    data = self.socket.recv(65536)
                    if not data:
                        raise Refused("closed by the other side during login")
                    frames.feed(data)
                if answer := exchange.send(frame):
                    self.send(answer)
        except StopIteration:
            return


def _words(answer: bytes | bytearray) -> str:
    return answer[:300].decode(errors="replace").replace("\x00", " ")
