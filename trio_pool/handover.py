"""The other side of `trio_pool.takeover`: what the process that is replaced gives away.

Its console sends the listening sockets along with SHOW FDS, and one end of a channel. Cancel
requests for its clients, which reach the successor from now on, come back over that channel as
connections that look like any other here.
"""

from __future__ import annotations

import array
import socket
from collections.abc import Callable

import trio

from trio_pool.journal import Journal
from trio_pool.switchboard import Switchboard

log = Journal(__name__)


async def send_with(stream: trio.SocketStream, data: bytes, descriptors: list[int]) -> None:
    """Send `data`, and duplicates of these descriptors with its first byte."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    sent = await stream.socket.sendmsg([data], [rights])
    await stream.send_all(data[sent:])


class Channel:
    """Our end of the channel to a successor: every connection that it passes on is admitted."""

    def __init__(self, switchboard: Switchboard, admit: Callable[[socket.socket], None]) -> None:
        self._sock, self._theirs = socket.socketpair()
        self._sock.setblocking(False)
        self._switchboard = switchboard
        self._admit = admit
        switchboard.attend(self._sock.fileno(), self._take)

    @property
    def descriptor(self) -> int:
        """The end that is for the successor; to be sent before `sent`."""
        return self._theirs.fileno()

    def sent(self) -> None:
        """The successor has its own end now."""
        self._theirs.close()

    def _take(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            sock = socket.socket(fileno=descriptor)
            try:
                self._admit(sock)
            except OSError as failure:
                log.error("cannot take a cancel request in: %s", failure.strerror)
                sock.close()
        if not data:
            self.close()

    def close(self) -> None:
        """Nothing more is taken. Idempotent."""
        if self._sock.fileno() >= 0:
            self._switchboard.neglect(self._sock.fileno())
            self._sock.close()
        self._theirs.close()
