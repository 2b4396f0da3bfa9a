"""A client that speaks the protocol byte by byte, over Trio.

It has no opinion: it sends what it is told and hands back what came. Every wait ends, with
`SILENT` as the last reply when the awaited one did not come in time.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import secrets
import socket
import struct
from collections.abc import Mapping
from typing import Final, Self

import attrs
import trio

from protocol import frontend, handshake, scram, startup
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.framing import BACKEND_BYTES_MAX, FrameReader
from protocol.stored_secrets import PlainSecret
from trio_pool.config import Settings, settings_from
from trio_pool.conform.replies import CLOSED, SILENT, Reply, decode_reply
from trio_pool.conform.script import FIND_OUT
from trio_pool.opening import connect_to
from trio_pool.proof import Door
from trio_pool.tls import TlsStream
from trio_pool.tls_settings import Encryption, encryption_of

PATIENCE_SECONDS: Final = 5.0
_NOBODYS_PORTAL: Final = b"nobody's portal"
_CLOSE_COMPLETE: Final[Reply] = ("3",)
_PIECES_MAX: Final = 5_000
_RECEIVE_BYTES: Final = 262_144
_AT_ONCE_BYTES: Final = 65_536


class Refused(Exception):
    """A login that did not succeed; `sqlstate` is empty when the other side gave none."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class QueryFailed(Exception):
    """A query of our own, on a direct connection, did not succeed."""


@functools.cache
def encryption_for(sslmode: str, sslrootcert: str) -> tuple[Settings, Encryption]:
    """How to encrypt connections. Raises ConfigError."""
    settings = settings_from(server_tls_sslmode=sslmode, server_tls_ca_file=sslrootcert)
    return settings, encryption_of(settings)


async def connected(door: Door) -> trio.SocketStream | TlsStream:
    """A connection that nobody has logged in on. Raises OSError."""
    settings, encryption = encryption_for(door.sslmode, door.sslrootcert)
    return await connect_to((door.host, door.port), settings, encryption)


# Why kept: thousands of logins with one password, and each takes milliseconds to derive.
_derive: Final = functools.lru_cache(scram.salted_password)


@attrs.define(eq=False)
class Client:
    """One connection, logged in.

    `status` is the letter of the last ReadyForQuery; `at_rest` says that it was I and that nothing
    was sent since; `parameters` holds the last reported value of each ParameterStatus. With
    `chunk` it sends so many bytes at a time.
    """

    door: Door
    stream: trio.SocketStream | TlsStream
    chunk: int = 0
    patience: float = PATIENCE_SECONDS
    parameters: dict[str, str] = attrs.field(init=False, factory=dict)
    status: str = attrs.field(init=False, default="?")
    at_rest: bool = attrs.field(init=False, default=False)
    _pid: int = attrs.field(init=False, default=0)
    _key: bytes = attrs.field(init=False, default=b"")
    _reader: FrameReader = attrs.field(init=False, factory=lambda: FrameReader(BACKEND_BYTES_MAX))

    @classmethod
    async def open(
        cls,
        door: Door,
        parameters: Mapping[str, str] | None = None,
        chunk: int = 0,
        patience: float = PATIENCE_SECONDS,
    ) -> Self:
        """Connect and log in. Raises Refused when that does not succeed."""
        try:
            with trio.fail_after(patience):
                client = cls(door, await connected(door))
                client.chunk, client.patience = chunk, patience
                try:
                    await client._log_in(parameters or {})
                except BaseException:
                    client.close()
                    raise
        except (OSError, ProtocolViolation, AuthenticationRefused) as error:
            raise Refused(str(error)) from error
        except ServerRefused as refusal:
            raise Refused(refusal.message, refusal.sqlstate) from refusal
        except trio.TooSlowError:
            raise Refused("no answer to the login in time") from None
        return client

    async def send(self, data: bytes) -> None:
        """Send everything. A peer that has already closed is found out when reading."""
        self.at_rest = self.at_rest and not data
        # Small pieces where it matters, and not a million of them for a large message.
        size = max(self.chunk, len(data) // _PIECES_MAX) if self.chunk else len(data) or 1
        with contextlib.suppress(trio.BrokenResourceError), trio.move_on_after(self.patience):
            for at in range(0, len(data), size):
                await self.stream.send_all(data[at : at + size])

    async def ask(self, data: bytes, until: str = "Z") -> list[Reply]:
        """Send, and read until the letters of `until` came in this order, others between them.

        `"closed"` reads to the end of the stream, FIND_OUT whatever comes to data that ends in
        Sync. What is large is sent while reading, as the other side may answer before it has
        heard all.
        """
        if until == FIND_OUT:
            return await self._find_out(data)
        if len(data) <= _AT_ONCE_BYTES:
            await self.send(data)
            return await self.receive(until)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.send, data)
            return await self.receive(until)

    async def receive(self, until: str = "Z") -> list[Reply]:
        """Read as `ask` does."""
        wanted = [until] if until == "closed" else list(until)
        replies: list[Reply] = []
        with trio.move_on_after(self.patience):
            while wanted:
                replies.append(await self._receive_one())
                if replies[-1][0] == wanted[0]:
                    wanted.pop(0)
                if replies[-1] == CLOSED:
                    return replies
        return [*replies, SILENT] if wanted else replies

    async def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        """The rows of a simple query as text. Raises QueryFailed."""
        replies = await self.ask(frontend.query(sql.encode()))
        for reply in replies:
            if reply[0] in ("E", "closed", "silent"):
                raise QueryFailed(f"{sql}: {reply}")
        return [tuple(map(_text, reply[1:])) for reply in replies if reply[0] == "D"]

    async def cancel(self) -> None:
        """Ask for the running query to be cancelled; returns when the other side has closed."""
        with trio.move_on_after(self.patience), contextlib.suppress(OSError):
            other = await connected(self.door)
            async with other:
                await other.send_all(startup.cancel_request(self._pid, self._key))
                with contextlib.suppress(trio.BrokenResourceError):
                    await other.receive_some(1)

    def close(self) -> None:
        """Close without a goodbye."""
        self.plain.close()

    def reset(self) -> None:
        """Close so that the peer sees a connection reset."""
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    @property
    def plain(self) -> trio.socket.SocketType | socket.socket:
        """The socket, under the encryption if there is any."""
        stream = self.stream
        return stream.sock.plain if isinstance(stream, TlsStream) else stream.socket

    async def say_goodbye(self) -> list[Reply]:
        """Terminate and return whatever was still to be read."""
        await self.send(frontend.terminate())
        replies = await self.receive("closed")
        self.close()
        return replies

    async def _log_in(self, more: Mapping[str, str]) -> None:
        password = self.door.password
        secret = None if password is None else PlainSecret(password.encode())
        parameters = {"database": self.door.database, **more}
        exchange = handshake.log_in(
            handshake.Credentials(self.door.user.encode(), secret),
            [(name.encode(), value.encode()) for name, value in parameters.items()],
            nonce=base64.b64encode(secrets.token_bytes(18)),
            derive=_derive,
        )
        messages = next(exchange)
        while True:
            await self.stream.send_all(messages)
            tag, body = await self._frame() or (0, b"")
            if not tag:
                raise Refused("the connection was closed during the login")
            try:
                messages = exchange.send((tag, body))
            except StopIteration as stop:
                return self._logged_in(stop.value)

    def _logged_in(self, result: handshake.LoggedIn) -> None:
        self._pid, self._key = result.pid, result.key
        for name, value in result.parameters.items():
            self.parameters[name.decode()] = value.decode("utf-8", "replace")
        self.status, self.at_rest = "I", True

    async def _find_out(self, data: bytes) -> list[Reply]:
        """Everything that is said to `data`, however often that is ReadyForQuery.

        Behind it portals are closed that nobody has opened, which changes nothing: more of them
        than `data` can close, so that as many CloseComplete in a row come behind all else.
        """
        replies = await self.ask(data)
        count = data.count(b"C") + 1
        closes = frontend.close_portal(_NOBODYS_PORTAL) * count + frontend.flush()
        if replies[-1] in (CLOSED, SILENT):
            return replies
        await self.send(closes)
        with trio.move_on_after(self.patience):
            while replies[-count:] != [_CLOSE_COMPLETE] * count:
                replies.append(await self._receive_one())
                if replies[-1] == CLOSED:
                    return replies
            return replies[:-count]
        return [*replies, SILENT]

    async def _receive_one(self) -> Reply:
        """The next reply, CLOSED at the end of the stream."""
        frame = await self._frame()
        if frame is None:
            return CLOSED
        reply = decode_reply(chr(frame[0]), frame[1])
        if reply[0] == "S":
            self.parameters[str(reply[1])] = str(reply[2])
        if reply[0] == "Z":
            self.status = str(reply[1])
            self.at_rest = self.status == "I"
        return reply

    async def _frame(self) -> tuple[int, bytes] | None:
        # Hazard: cancelled here, what has come must be kept; nothing is taken off before it is all.
        try:
            while (frame := self._reader.next_frame()) is None:
                data = await self.stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    return None
                self._reader.feed(data)
        except (trio.BrokenResourceError, ProtocolViolation):
            # Broken off, or no message: there is nothing to be read any more.
            return None
        return frame


def _text(value: object) -> str | None:
    assert value is None or isinstance(value, bytes)
    return None if value is None else value.decode()
