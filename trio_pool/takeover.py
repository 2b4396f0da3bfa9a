"""`-R`: a new process takes the place of a running one, and nobody who connects notices.

The new process asks the old one's console, over the unix socket and as the same account, for
SHOW FDS: beside the table come the listening sockets themselves, as they are (unix(7),
SCM_RIGHTS). So both accept from the same queues until the new one says SHUTDOWN
WAIT_FOR_CLIENTS, and no connection is ever refused. The old one keeps the clients it has for as
long as they stay, and leaves the socket files and the pid file to its successor.

Cancel requests for those clients reach the new process. One more descriptor came with the
sockets: a channel, over which a cancel request's connection is passed on whole. Chains work: the
predecessor may have one of its own.
"""

from __future__ import annotations

import array
import socket
from typing import Final

import trio

from protocol import frontend
from protocol.backend import decode_error_response
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.framing import FrameReader
from protocol.handshake import Credentials, log_in
from protocol.startup import CancelRequest, cancel_request
from protocol.tags import BackendTag
from trio_pool.admin.desk import OWNER
from trio_pool.config import CONSOLE, ConfigError, Settings
from trio_pool.journal import Journal
from trio_pool.systemd import listening

log = Journal(__name__)

_READ_BYTES: Final = 65_536
# Limit: what one message on a unix socket carries (SCM_MAX_FD of Linux).
_DESCRIPTORS_MAX: Final = 253
_ITEM_BYTES: Final = array.array("i").itemsize


class TakeoverFailed(OSError):
    """A process answers at the unix socket, and does not hand over."""


class Predecessor:
    """The process whose place we take: its console, its sockets, and the channel to its clients."""

    def __init__(
        self, console: socket.socket, sockets: tuple[socket.socket, ...], channel: socket.socket
    ) -> None:
        self.sockets = sockets
        self._console = console
        self._channel: socket.socket | None = channel

    @property
    def gone(self) -> bool:
        """It has ended: it has no clients any more."""
        return self._channel is None

    async def see_off(self) -> None:
        """Tell it that we serve, and wait until its last client has left."""
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._console))
        try:
            async with stream:
                await stream.send_all(frontend.query(b"SHUTDOWN WAIT_FOR_CLIENTS"))
                while await stream.receive_some(_READ_BYTES):
                    pass
        except trio.BrokenResourceError:
            log.warning("the process before us broke off")
        log.info("the process before us has ended")
        self.close()

    async def pass_on(self, request: CancelRequest, seconds_max: float) -> None:
        """Have it carry out a cancel request; returns when it has, or does not answer."""
        if self._channel is None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
            try:
                socket.send_fds(self._channel, [b"c"], [theirs.fileno()])
            except OSError as failure:
                log.warning("cannot pass a cancel request on to our predecessor: %s", failure)
                await stream.aclose()
                return
        with trio.move_on_after(seconds_max or float("inf")):
            async with stream:
                await stream.send_all(cancel_request(request.pid, request.key))
                while await stream.receive_some(_READ_BYTES):
                    pass

    def close(self) -> None:
        """Forget it."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def call_predecessor(settings: Settings) -> Predecessor | None:
    """The process that listens where we are to listen; None when there is none.

    Raises ConfigError without a unix socket to ask at, and TakeoverFailed.
    """
    directory = settings.unix_socket_dir
    if not directory:
        raise ConfigError("a running process is asked over its unix socket: -R needs one")
    path = f"{directory}/.s.PGSQL.{settings.listen_port}"
    console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    console.settimeout(settings.suspend_timeout or None)
    try:
        console.connect(f"\0{path[1:]}" if path.startswith("@") else path)
    except (FileNotFoundError, ConnectionRefusedError):
        console.close()
        return None
    try:
        return _handed_over(console)
    except (OSError, ServerRefused, AuthenticationRefused, ProtocolViolation) as failure:
        console.close()
        raise TakeoverFailed(f"the process at {path} does not hand over: {failure}") from failure


def _handed_over(console: socket.socket) -> Predecessor:
    reader = FrameReader(_READ_BYTES)
    exchange = log_in(
        Credentials(OWNER.encode()), [(b"database", CONSOLE.encode())], nonce=b"unused"
    )
    said = next(exchange)
    while True:
        console.sendall(said)
        try:
            said = exchange.send(_next_message(console, reader, []))
        except StopIteration:
            break
    console.sendall(frontend.query(b"SHOW FDS"))
    rows, descriptors = 0, array.array("i")
    while True:
        tag, body = _next_message(console, reader, descriptors)
        rows += tag == BackendTag.DATA_ROW
        if tag == BackendTag.ERROR:
            raise ServerRefused(decode_error_response(body).fields)
        if tag == BackendTag.READY_FOR_QUERY:
            return _predecessor(console, rows, descriptors)


def _predecessor(console: socket.socket, rows: int, found: array.array[int]) -> Predecessor:
    taken = [socket.socket(fileno=descriptor) for descriptor in found]
    if len(taken) != rows + 1:
        for sock in taken:
            sock.close()
        raise ProtocolViolation(f"{rows} sockets are listed, {len(taken)} descriptors came")
    *sockets, channel = taken
    for sock in sockets:
        listening(sock)
    console.settimeout(None)
    return Predecessor(console, tuple(sockets), channel)


def _next_message(
    console: socket.socket, reader: FrameReader, descriptors: array.array[int] | list[int]
) -> tuple[int, bytes]:
    """The next message; descriptors that come with it are added. Raises OSError."""
    while (message := reader.next_frame()) is None:
        data, beside, _, _ = console.recvmsg(
            _READ_BYTES, socket.CMSG_SPACE(_DESCRIPTORS_MAX * _ITEM_BYTES)
        )
        if not data:
            raise ConnectionResetError("it closed the connection")
        for level, kind, content in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found = array.array("i")
                found.frombytes(content[: len(content) - len(content) % _ITEM_BYTES])
                descriptors.extend(found)
        reader.feed(data)
    return message
