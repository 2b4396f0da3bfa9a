"""A connected socket on the switchboard: bytes out at once, bytes in when they come.

`put` never waits: what the kernel does not take is kept, and whoever feeds this wire stops
reading from the other side until it has drained. Only this module and the switchboard touch
sockets after login. A wire knows nothing of what the bytes mean; its turn does.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

import trio

from trio_pool.config import Settings
from trio_pool.tls import TlsSocket, TlsStream

if TYPE_CHECKING:
    from trio_pool.switchboard import Switchboard

# Short reads while little comes: CPython's own allocator has memory for them at hand (512 bytes
# with the head of a bytes object). Large ones under load: measured for COPY OUT, 256 KiB reads
# cost half of what 64 KiB reads do.
_SHORT_BYTES: Final = 479
_READ_BYTES: Final = 16_384
_LARGE_BYTES: Final = 262_144
# After so many in a row that would have been short, they are.
_LITTLE_MAX: Final = 8

# Why object: the numbers are made into Python's once per wire, not once per call.
_read: Final = cast("Callable[[object, object], bytes]", os.read)
_write: Final = cast("Callable[[object, bytes | memoryview], int]", os.write)

# What nearly every wire has not sent yet; never changed.
_NOTHING: Final[list[memoryview]] = []

# Above this much unsent the other side is not read from.
UNSENT_BYTES_MAX: Final = 262_144


class Socket(Protocol):
    """What a wire needs of a non-blocking socket, plain (socket.socket) or encrypted."""

    def fileno(self) -> int:
        """The descriptor."""

    def recv(self, size: int, /) -> bytes:
        """Bytes that have arrived."""

    def send(self, data: bytes | memoryview, /) -> int:
        """How much of it is on its way."""

    def setblocking(self, flag: bool, /) -> None:
        """Wait, or raise BlockingIOError."""

    def close(self) -> None:
        """Release the descriptor."""


def take_socket(stream: trio.SocketStream | TlsStream) -> Socket:
    """The socket of a stream that Trio will not use again, ready for the switchboard."""
    if isinstance(stream, TlsStream):
        return stream.sock
    return take_plain_socket(stream)


def take_plain_socket(stream: trio.SocketStream) -> socket.socket:
    """The same of a stream that is known to be plain."""
    taken = socket.socket(fileno=stream.socket.detach())
    taken.setblocking(False)
    return taken


def tune(sock: socket.socket, settings: Settings) -> None:
    """Set what the configuration says of TCP; what is set on a listening socket is inherited."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(settings.tcp_keepalive))
    for name, value in (
        ("TCP_KEEPCNT", settings.tcp_keepcnt),
        ("TCP_KEEPIDLE", settings.tcp_keepidle),
        ("TCP_KEEPINTVL", settings.tcp_keepintvl),
        ("TCP_USER_TIMEOUT", settings.tcp_user_timeout),
    ):
        # Why asked for by name: not every system has all of them.
        if value and hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if settings.tcp_socket_buffer:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, settings.tcp_socket_buffer)


def plain_of(sock: Socket) -> socket.socket:
    """The socket itself, beneath whatever encryption."""
    if isinstance(sock, TlsSocket):
        return sock.plain
    assert isinstance(sock, socket.socket)
    return sock


def is_local(sock: Socket) -> bool:
    """It is a unix socket."""
    return plain_of(sock).family == socket.AF_UNIX


def peer_account(given: Socket) -> int | None:
    """The system account at the other end of a unix socket; None for any other socket."""
    sock = plain_of(given)
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


def endpoints(given: Socket) -> tuple[tuple[str, int], tuple[str, int]]:
    """Remote and local (address, port); a unix socket is `unix` and the port in its name.

    A socket that is no longer connected has neither.
    """
    sock = plain_of(given)
    try:
        remote, local = sock.getpeername(), sock.getsockname()
    except OSError:
        return ("", 0), ("", 0)
    if sock.family == socket.AF_UNIX:
        path = local or remote
        name = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
        port = name.rpartition(".")[2]
        unix = ("unix", int(port) if port.isdigit() else 0)
        return unix, unix
    return (remote[0], remote[1]), (local[0], local[1])


def as_stream(sock: Socket) -> trio.abc.HalfCloseableStream:
    """A socket that has left the switchboard, as something Trio can wait for again."""
    if isinstance(sock, TlsSocket):
        return TlsStream(sock)
    assert isinstance(sock, socket.socket)
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


async def open_stream(host: str, port: int) -> trio.SocketStream:
    """A connection to a host name, an address, or (`/...`, `@...`) a directory of unix sockets."""
    if not host.startswith(("/", "@")):
        return await trio.open_tcp_stream(host, port)
    path = f"{host}/.s.PGSQL.{port}"
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await sock.connect("\0" + path[1:] if host.startswith("@") else path)
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


class Turn:
    """Who is told what happens on a wire. Every call is synchronous and quick.

    Why a class and no Protocol: compiled, a method of a class is found by its place. Those who
    inherit it must be compiled, too. This one hears nothing and has nothing to end.
    """

    __slots__ = ()

    def on_bytes(self, data: bytes) -> None:
        """Bytes arrived."""

    def on_closed(self) -> None:
        """The peer closed, or the socket failed; nothing more will come."""

    def on_drained(self) -> None:
        """All that was put has been sent."""

    def on_failure(self, failure: Exception) -> None:
        """One of the calls above raised: whatever belongs to this wire must end."""


# The turn of a wire that has left for good.
NOBODY: Final = Turn()


class Wire:
    """One registered socket. Close it by `close`; it is idempotent."""

    __slots__ = (
        "sock",
        "descriptor",
        "_number",
        "_plain",
        "turn",
        "_switchboard",
        "_unsent",
        "unsent_bytes",
        "_room",
        "_room_number",
        "_little",
        "reading",
        "broken",
        "received",
        "sent",
    )

    def __init__(self, sock: Socket, switchboard: Switchboard, turn: Turn) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.descriptor = sock.fileno()
        self._number: object = self.descriptor
        # Why: reading and writing a descriptor costs half of what a socket's own methods do.
        self._plain = isinstance(sock, socket.socket)
        self.turn = turn
        self._switchboard = switchboard
        self._unsent = _NOTHING
        self.unsent_bytes = 0
        self._room = _SHORT_BYTES if self._plain else _READ_BYTES
        self._room_number: object = self._room
        self._little = 0
        self.reading = True
        self.broken = False
        self.received = 0
        self.sent = 0
        switchboard.register(self)

    @property
    def closed(self) -> bool:
        """Whether `close` or `give_up` was called."""
        return self.descriptor < 0

    def put(self, data: bytes) -> None:
        """Send now what the kernel takes, the rest as soon as it takes more."""
        if self.broken or self.descriptor < 0:
            return
        if self._unsent:
            self._unsent.append(memoryview(data))
            self.unsent_bytes += len(data)
            return
        try:
            taken = _write(self._number, data) if self._plain else self.sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            # The reading side will report it: what the peer said last must still be read.
            self.broken = True
            return
        self.sent += taken
        if taken < len(data):
            self._unsent = [memoryview(data)[taken:]]
            self.unsent_bytes = len(data) - taken
            self._switchboard.watch(self)

    def pause(self) -> None:
        """Do not read until `resume`."""
        if self.reading and self.descriptor >= 0:
            self.reading = False
            self._switchboard.watch(self)

    def resume(self) -> None:
        """Read again."""
        if not self.reading and self.descriptor >= 0:
            self.reading = True
            self._switchboard.watch(self)

    @property
    def sending(self) -> bool:
        """Something that was put has not been sent."""
        return bool(self._unsent)

    def read(self) -> None:
        """The switchboard says there is something to read: hand it to the turn."""
        try:
            if self._plain:
                data = _read(self._number, self._room_number)
            else:
                data = self.sock.recv(self._room)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            self.turn.on_closed()
            return
        size = len(data)
        if size == self._room:
            data += self._more()
            size = len(data)
        elif size == 0:
            self.turn.on_closed()
            return
        elif self._room != _SHORT_BYTES:
            self._shrink(size)
        self.received += size
        self.turn.on_bytes(data)

    def _more(self) -> bytes:
        """What there is beyond a full read; from here on there is more room."""
        short = self._room == _SHORT_BYTES
        self._make_room(_READ_BYTES if short else _LARGE_BYTES)
        if not short:
            return b""
        try:
            return _read(self._number, self._room_number)
        except OSError:
            # Nothing more yet, or a failure that the next read will meet, too.
            return b""

    def _shrink(self, size: int) -> None:
        """A read did not fill its room: after enough such, there is less."""
        if size >= _SHORT_BYTES:
            self._little = 0
            if size < _READ_BYTES < self._room:
                self._make_room(_READ_BYTES)
        elif self._plain and self._little == _LITTLE_MAX:
            self._make_room(_SHORT_BYTES)
        elif self._room != _READ_BYTES:
            self._make_room(_READ_BYTES)
        else:
            self._little += 1

    def _make_room(self, size: int) -> None:
        self._room = size
        self._room_number = size
        self._little = 0

    def drain(self) -> None:
        """The switchboard says the kernel takes bytes again."""
        while self._unsent:
            piece = self._unsent[0]
            try:
                taken = _write(self._number, piece) if self._plain else self.sock.send(piece)
            except BlockingIOError:
                return
            except OSError:
                self.broken = True
                self._unsent = _NOTHING
                self.unsent_bytes = 0
                break
            self.sent += taken
            self.unsent_bytes -= taken
            if taken < len(piece):
                self._unsent[0] = piece[taken:]
                return
            del self._unsent[0]
        self._unsent = _NOTHING
        self._switchboard.watch(self)
        self.turn.on_drained()

    def give_up(self) -> tuple[Socket, bytes]:
        """Leave the switchboard, socket open: the caller owns it and what is still unsent."""
        unsent = b"".join(self._unsent)
        self._unsent = _NOTHING
        self.unsent_bytes = 0
        if self.descriptor >= 0:
            self._switchboard.unregister(self)
            self.descriptor = -1
        return self.sock, unsent

    def close(self) -> None:
        """Leave the switchboard and close the socket."""
        if self.descriptor >= 0:
            self.give_up()
            self.sock.close()
