"""What a service manager and its services tell each other, without systemd's library.

The service sends datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3)): that it serves,
that it reads its configuration again, that it stops, and that it lives. The manager may hand over
sockets that listen already, as descriptors from 3 on (sd_listen_fds(3)). A process that was not
started by one has neither, and everything here does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

import trio

from trio_pool.journal import Journal

log = Journal(__name__)

_FIRST_DESCRIPTOR: Final = 3
_MICROSECONDS: Final = 1_000_000


class Manager:
    """Whoever watches over this process; `watchdog_seconds` is how long we may be silent."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds

    def ready(self) -> None:
        """We serve; also after a reload, and by a process that takes another's place."""
        self._tell("READY=1", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """The configuration is being read again, until `ready`."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """No new clients; the end is near."""
        self._tell("STOPPING=1")

    async def keep_watched(self) -> None:
        """Say that we live, twice as often as is asked for, for ever."""
        while True:
            self._tell("WATCHDOG=1")
            await trio.sleep(self.watchdog_seconds / 2)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # Why: a manager that does not read must not hold up the loop.
            sock.setblocking(False)
            try:
                sock.sendto("\n".join(lines).encode(), self._address)
            except OSError as failure:
                log.warning("cannot tell the service manager %s: %s", lines[0], failure)


def manager_of(environment: MutableMapping[str, str]) -> Manager:
    """The manager that this environment names. What it says is not handed on to children."""
    address = environment.pop("NOTIFY_SOCKET", "")
    microseconds = environment.pop("WATCHDOG_USEC", "")
    watched = environment.pop("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or watched != str(os.getpid()):
        microseconds = "0"
    return Manager(address, int(microseconds) / _MICROSECONDS)


def given_sockets(environment: MutableMapping[str, str]) -> tuple[socket.socket, ...]:
    """The listening sockets that the manager has opened for this process; none without one.

    Raises OSError when a descriptor is no listening stream socket.
    """
    process = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "0")
    environment.pop("LISTEN_FDNAMES", "")
    if process != str(os.getpid()) or not count.isdigit():
        return ()
    given = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)
        given.append(listening(socket.socket(fileno=descriptor)))
    return tuple(given)


def listening(sock: socket.socket) -> socket.socket:
    """A socket that we were given. Raises OSError when it does not listen for streams."""
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.type != socket.SOCK_STREAM or not listens:
        raise OSError(f"descriptor {sock.fileno()}, which was handed to us, does not listen")
    return sock
