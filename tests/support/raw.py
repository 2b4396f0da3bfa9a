"""A client that speaks the protocol byte by byte, over a blocking socket.

It has no opinion: it sends what it is told and hands back what came. Every wait ends, with
`SILENT` as the last reply when the awaited one did not come in time.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import time
from collections.abc import Mapping

from protocol import frontend, handshake, startup
from protocol.framing import BACKEND_BYTES_MAX, FrameReader
from protocol.stored_secrets import PlainSecret
from trio_pool.conform.replies import CLOSED, SILENT, Reply, decode_reply

PATIENCE_SECONDS = 5.0
PIECES_MAX = 5_000


class RawClient:
    """One connection, logged in unless told otherwise.

    `status` is the letter of the last ReadyForQuery; `at_rest` says that it was I and that nothing
    was sent since; `parameters` holds the last reported value of each ParameterStatus.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        user: str = "postgres",
        database: str = "postgres",
        password: str | None = None,
        parameters: Mapping[str, str] | None = None,
        log_in: bool = True,
        patience: float = PATIENCE_SECONDS,
        chunk: int = 0,
    ) -> None:
        self.address = address
        self.patience = patience
        self.chunk = chunk
        self.parameters: dict[str, str] = {}
        self.status = "?"
        self.at_rest = False
        self.pid, self.key = 0, b""
        self._reader = FrameReader(BACKEND_BYTES_MAX)
        self._socket = socket.create_connection(address, timeout=patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if log_in:
            try:
                self._log_in(user, database, password, parameters or {})
            except BaseException:
                self._socket.close()
                raise

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send everything. A peer that has already closed is found out when reading."""
        self.at_rest = self.at_rest and not data
        # Small pieces where it matters, and not a million of them for a large message.
        size = max(self.chunk, len(data) // PIECES_MAX) if self.chunk else len(data) or 1
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for at in range(0, len(data), size):
                self._socket.sendall(data[at : at + size])

    def receive(self, until: str = "Z") -> list[Reply]:
        """Read until the letters of `until` came in this order, others between them allowed.

        `"closed"` reads to the end of the stream.
        """
        wanted = [until] if until == "closed" else list(until)
        replies: list[Reply] = []
        deadline = time.monotonic() + self.patience
        while wanted:
            reply = self.receive_one(deadline)
            replies.append(reply)
            if reply[0] == wanted[0]:
                wanted.pop(0)
            if reply in (CLOSED, SILENT):
                break
        return replies

    def receive_until_ready(self, count: int = 1) -> list[Reply]:
        return self.receive("Z" * count)

    def receive_until_quiet(self, seconds: float = 0.1) -> list[Reply]:
        """Read until nothing came for a while; only for streams whose length nobody knows."""
        replies: list[Reply] = []
        while not replies or replies[-1] not in (CLOSED, SILENT):
            replies.append(self.receive_one(time.monotonic() + seconds))
        return [reply for reply in replies if reply != SILENT]

    def receive_one(self, deadline: float) -> Reply:
        """The next reply, CLOSED at the end of the stream, SILENT at the deadline."""
        try:
            frame = self._frame(deadline)
        except TimeoutError:
            return SILENT
        if frame is None:
            return CLOSED
        reply = decode_reply(chr(frame[0]), frame[1])
        if reply[0] == "S":
            self.parameters[str(reply[1])] = str(reply[2])
        if reply[0] == "Z":
            self.status = str(reply[1])
            self.at_rest = self.status == "I"
        return reply

    def ask(self, data: bytes, until: str = "Z") -> list[Reply]:
        """Send, then receive."""
        self.send(data)
        return self.receive(until)

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        """The rows of a simple query as text; an error of the server raises."""
        replies = self.ask(frontend.query(sql.encode()))
        for reply in replies:
            if reply[0] in ("E", "closed", "silent"):
                raise AssertionError(f"{sql}: {reply}")
        return [
            tuple(None if value is None else bytes(value).decode() for value in reply[1:])  # type: ignore[call-overload]
            for reply in replies
            if reply[0] == "D"
        ]

    def cancel(self) -> None:
        """Ask for the running query to be cancelled; returns when the other side has closed."""
        with socket.create_connection(self.address, timeout=self.patience) as other:
            other.sendall(startup.cancel_request(self.pid, self.key))
            other.recv(1)

    def close(self) -> None:
        """Close without a goodbye."""
        self._socket.close()

    def reset(self) -> None:
        """Close so that the peer sees a connection reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def finish_sending(self) -> None:
        """Close the sending half only."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def say_goodbye(self) -> list[Reply]:
        """Terminate and return whatever was still to be read."""
        self.send(frontend.terminate())
        with contextlib.suppress(ConnectionResetError):
            replies = self.receive("closed")
            self.close()
            return replies
        self.close()
        return [CLOSED]

    def _log_in(
        self, user: str, database: str, password: str | None, more: Mapping[str, str]
    ) -> None:
        secret = None if password is None else PlainSecret(password.encode())
        parameters = {"database": database, **more}
        exchange = handshake.log_in(
            handshake.Credentials(user.encode(), secret),
            [(name.encode(), value.encode()) for name, value in parameters.items()],
            nonce=base64.b64encode(os.urandom(18)),
        )
        deadline = time.monotonic() + self.patience
        self.send(next(exchange))
        try:
            while True:
                frame = self._frame(deadline)
                if frame is None:
                    raise ConnectionResetError("closed during the login")
                self.send(exchange.send(frame))
        except StopIteration as stop:
            self._logged_in(stop.value)

    def _logged_in(self, result: handshake.LoggedIn) -> None:
        self.pid, self.key = result.pid, result.key
        for name, value in result.parameters.items():
            self.parameters[name.decode()] = value.decode("utf-8", "replace")
        self.status, self.at_rest = "I", True

    def _frame(self, deadline: float) -> tuple[int, bytes] | None:
        while (frame := self._reader.next_frame()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(262144)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._reader.feed(data)
        return frame
