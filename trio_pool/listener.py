"""Where clients come in: TCP addresses and a unix socket.

Port 0 is bound like any other and read afterwards. A unix socket left behind by a process that
ended is removed only when nobody answers on it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from trio_pool.config import Settings
from trio_pool.journal import Journal
from trio_pool.switchboard import Switchboard
from trio_pool.wire import tune

log = Journal(__name__)

Address = tuple[str, int] | str

# Limit: clients taken in by one sweep, so that a flood of them leaves time for the others.
_ACCEPTS_MAX: Final = 64
# The system has no room for another socket; it may have some when a client has left.
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS: Final = 0.1
# Limit: clients taken in while a listening socket is being closed.
_LAST_ACCEPTS_MAX: Final = 4_096


class Entrance:
    """A listening socket on the switchboard: whoever knocks is admitted within the sweep."""

    def __init__(
        self,
        sock: socket.socket,
        switchboard: Switchboard,
        admit: Callable[[socket.socket], None],
        start_soon: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self._sock = sock
        self._switchboard = switchboard
        self._admit = admit
        self._start_soon = start_soon
        self._closed = False
        # Clients since nobody was left to accept. Why: asking in vain costs as much as accepting,
        # and in the next sweep whoever still waits is seen again for nothing.
        self._crowd = 0
        self._open()

    def _open(self) -> None:
        self._switchboard.attend(self._sock.fileno(), self._accept_all)

    def _accept_all(self) -> None:
        self._accept(min(1 + self._crowd // 4, _ACCEPTS_MAX))

    def _accept(self, count: int) -> None:
        for _ in range(count):
            try:
                sock, _ = self._sock.accept()
            except BlockingIOError:
                self._crowd = 0
                return
            except OSError as failure:
                if failure.errno in _EXHAUSTED:
                    self._pause(failure)
                    return
                # Any other failure is that of one client, who has left already (accept(2)).
                continue
            self._crowd += 1
            try:
                self._admit(sock)
            except OSError as failure:
                # The poller's own limit (epoll_ctl(2): ENOSPC, ENOMEM).
                log.error("cannot take a client in: %s", failure.strerror)
                sock.close()

    def _pause(self, failure: OSError) -> None:
        """Those who wait stay in the kernel's queue, and the loop does not spin for them."""
        log.error("cannot accept clients for now: %s", failure.strerror)
        self._switchboard.neglect(self._sock.fileno())
        self._start_soon(self._rest)

    async def _rest(self) -> None:
        await trio.sleep(_REST_SECONDS)
        if not self._closed:
            self._open()

    def close(self) -> None:
        """Admit nobody any more; the socket stays open."""
        self._closed = True
        self._switchboard.neglect(self._sock.fileno())

    def take_rest(self) -> None:
        """Admit who has connected already; the socket is to be closed at once after this.

        Why: the kernel resets who is still in the queue then. Others that share the port
        (so_reuseport) have queues of their own and do not see them. Limit: who connects between
        the last look and the closing is reset, unless net.ipv4.tcp_migrate_req is set.
        """
        self._crowd = 0
        self._accept(_LAST_ACCEPTS_MAX)


async def open_listeners(settings: Settings) -> list[socket.socket]:
    """Listening sockets for everything that is configured, not blocking. Raises OSError."""
    async with contextlib.AsyncExitStack() as undo:
        listeners: list[trio.SocketListener] = []
        for name in settings.listen_addr:
            host = None if name == "*" else name
            if settings.so_reuseport:
                opened = await _sharing_listeners(host, settings)
            else:
                opened = await trio.open_tcp_listeners(
                    settings.listen_port, host=host, backlog=settings.listen_backlog
                )
            for listener in opened:
                undo.push_async_callback(listener.aclose)
            listeners += opened
        if settings.unix_socket_dir:
            listener = await _unix_listener(settings, _port(listeners, settings))
            undo.push_async_callback(listener.aclose)
            listeners.append(listener)
        undo.pop_all()
        return [_plain(listener, settings) for listener in listeners]


async def _sharing_listeners(host: str | None, settings: Settings) -> list[trio.SocketListener]:
    """Listeners on a port that other processes of ours may listen on as well."""
    found = await trio.socket.getaddrinfo(
        host, settings.listen_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    opened: list[trio.socket.SocketType] = []
    try:
        for family, kind, number, _, address in found:
            sock = trio.socket.socket(family, kind, number)
            opened.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            await sock.bind(address)
            sock.listen(settings.listen_backlog)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return [trio.SocketListener(sock) for sock in opened]


def _plain(listener: trio.SocketListener, settings: Settings) -> socket.socket:
    """The socket behind a listener. What is set here, accepted sockets inherit."""
    sock = socket.socket(fileno=listener.socket.detach())
    sock.setblocking(False)
    tune(sock, settings)
    return sock


def _port(listeners: list[trio.SocketListener], settings: Settings) -> int:
    """The port the unix socket is named after: the one that clients use."""
    for listener in listeners:
        port: int = listener.socket.getsockname()[1]
        return port
    return settings.listen_port


async def _unix_listener(settings: Settings, port: int) -> trio.SocketListener:
    directory = settings.unix_socket_dir
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        if directory.startswith("@"):
            await sock.bind(f"\0{directory[1:]}/.s.PGSQL.{port}")
        else:
            path = f"{directory}/.s.PGSQL.{port}"
            _remove_stale(path)
            await sock.bind(path)
            os.chmod(path, settings.unix_socket_mode)
            if settings.unix_socket_group:
                shutil.chown(path, group=settings.unix_socket_group)
        sock.listen(settings.listen_backlog)
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(sock)


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on. Raises OSError when somebody does."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise OSError(f"{path} is in use by another process")


def adopt(given: tuple[socket.socket, ...], settings: Settings) -> list[socket.socket]:
    """Listening sockets that others have opened, as if they were ours."""
    for sock in given:
        sock.setblocking(False)
        tune(sock, settings)
    return list(given)


def addresses_of(listeners: list[socket.socket]) -> tuple[Address, ...]:
    """Where the listeners really listen: (host, port), or the path of a unix socket."""
    found: list[Address] = []
    for listener in listeners:
        name = listener.getsockname()
        found.append(name if isinstance(name, str) else (name[0], name[1]))
    return tuple(found)


def forget_files(addresses: tuple[Address, ...]) -> None:
    """Remove the socket files of our own listeners."""
    for address in addresses:
        if isinstance(address, str) and not address.startswith("\0"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)
