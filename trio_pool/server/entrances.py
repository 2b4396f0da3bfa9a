"""Where clients come in, for as long as they may; a successor is given the same."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVarTuple

from trio_pool.handover import Channel
from trio_pool.listener import Address, Entrance, forget_files

if TYPE_CHECKING:
    from trio_pool.server.server import Server

Given = TypeVarTuple("Given")


class Entrances:
    """The listening sockets, until `close`."""

    def __init__(self, server: Server) -> None:
        self.listeners: list[socket.socket] = []
        # Another process serves in our place: the socket files are its own.
        self.succeeded = False
        self._server = server
        self._open, self._channels = contextlib.ExitStack(), contextlib.ExitStack()

    def open(self, sock: socket.socket) -> None:
        """Take clients from a listening socket."""
        server = self._server
        self.listeners.append(sock)
        entrance = Entrance(sock, server.switchboard, server.clients.admit, server.start_soon)
        self._open.callback(sock.close)
        self._open.callback(self._take_rest, entrance)
        self._open.callback(entrance.close)

    def _take_rest(self, entrance: Entrance) -> None:
        if not self.succeeded:
            entrance.take_rest()

    def callback(self, do: Callable[[*Given], object], *given: *Given) -> None:
        """Do this as well when they are closed: what came last is done first."""
        self._open.callback(do, *given)

    def close(self) -> None:
        """Take nobody any more; idempotent."""
        self._open.close()

    def forget_files(self, addresses: tuple[Address, ...]) -> None:
        """Remove the socket files, if nobody else listens there."""
        if not self.succeeded and not self._server.origin.sockets:
            forget_files(addresses)

    def open_channel(self) -> Channel:
        """Where a successor has cancel requests for our clients carried out."""
        channel = Channel(self._server.switchboard, self._server.clients.admit)
        self._channels.callback(channel.close)
        return channel

    def close_channels(self) -> None:
        """The end: whoever took our place has all clients now."""
        self._channels.close()
