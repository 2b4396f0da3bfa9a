"""A small PostgreSQL client in Trio, made of `protocol` alone.

What the demo and health checks need and no more: log in, send messages, read the answers up to
ReadyForQuery. It belongs to one task at a time, and leaves COPY and notifications alone.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Final

import attrs
import trio

from protocol import backend, frontend
from protocol.framing import FrameReader
from protocol.handshake import Credentials, log_in
from protocol.stored_secrets import PlainSecret
from protocol.tags import BackendTag

_RECEIVE_BYTES: Final = 65536
_BODY_BYTES_MAX: Final = 16 * 1024 * 1024


@attrs.frozen
class Answer:
    """What came back up to ReadyForQuery: all rows, in text form, and the error if one came."""

    rows: tuple[tuple[bytes | None, ...], ...]
    error: backend.ErrorResponse | None


@contextlib.asynccontextmanager
async def open_probe(
    host: str, port: int, *, user: str, password: str | None, database: str
) -> AsyncIterator[Probe]:
    """A client that is logged in, for as long as the block lasts.

    Raises OSError, ServerRefused, AuthenticationRefused and ProtocolViolation.
    """
    stream = await trio.open_tcp_stream(host, port)
    async with stream:
        probe = Probe(stream)
        await probe._log_in(user, password, database)
        yield probe
        await stream.send_all(frontend.terminate())


class Probe:
    """One logged-in client. Its methods raise OSError when the other side goes away."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._frames = FrameReader(_BODY_BYTES_MAX)

    async def query(self, text: str) -> Answer:
        """Run a text by the simple query protocol."""
        return await self.ask(frontend.query(text.encode()))

    async def prepare(self, name: str, text: str) -> Answer:
        """Prepare a statement under a name, as drivers do."""
        return await self.ask(frontend.parse(name.encode(), text.encode()) + frontend.sync())

    async def execute(self, name: str, parameters: Sequence[str]) -> Answer:
        """Execute a prepared statement; parameters and results travel as texts."""
        values = [parameter.encode() for parameter in parameters]
        return await self.ask(
            frontend.bind(statement=name.encode(), parameters=values)
            + frontend.execute()
            + frontend.sync()
        )

    async def ask(self, messages: bytes) -> Answer:
        """Send messages that end with one Sync or Query, and collect what they bring."""
        await self._stream.send_all(messages)
        rows: list[tuple[bytes | None, ...]] = []
        error = None
        while True:
            tag, body = await self._next_frame()
            if tag == BackendTag.DATA_ROW:
                rows.append(backend.decode_data_row(body).values)
            elif tag == BackendTag.ERROR:
                error = backend.decode_error_response(body)
            elif tag == BackendTag.READY_FOR_QUERY:
                return Answer(tuple(rows), error)

    async def _log_in(self, user: str, password: str | None, database: str) -> None:
        secret = None if password is None else PlainSecret(password.encode())
        exchange = log_in(
            Credentials(user.encode(), secret),
            [(b"database", database.encode())],
            nonce=base64.b64encode(secrets.token_bytes(18)),
        )
        messages = next(exchange)
        while True:
            await self._stream.send_all(messages)
            frame = await self._next_frame()
            try:
                messages = exchange.send(frame)
            except StopIteration:
                return

    async def _next_frame(self) -> tuple[int, bytes]:
        while (frame := self._frames.next_frame()) is None:
            received = await self._stream.receive_some(_RECEIVE_BYTES)
            if not received:
                raise ConnectionResetError("the server closed the connection")
            self._frames.feed(bytes(received))
        return frame
