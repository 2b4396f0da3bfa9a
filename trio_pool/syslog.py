"""The log as datagrams to the system's syslog daemon (RFC 3164, as syslog(3) writes them)."""

from __future__ import annotations

import logging.handlers
import os
import re
import socket
import sys
import time
from typing import Final

from trio_pool.config import Settings

_ADDRESS: Final = "/var/run/syslog" if sys.platform == "darwin" else "/dev/log"
# What each of our words for a level is to syslog; a line without one goes on with the last.
_SEVERITIES: Final = {
    "DEBUG": logging.handlers.SysLogHandler.LOG_DEBUG,
    "LOG": logging.handlers.SysLogHandler.LOG_INFO,
    "WARNING": logging.handlers.SysLogHandler.LOG_WARNING,
    "ERROR": logging.handlers.SysLogHandler.LOG_ERR,
    "FATAL": logging.handlers.SysLogHandler.LOG_CRIT,
}
# Time and process are the daemon's to write: `2026-01-31 12:00:00.123 UTC [4711] LOG text`.
_LINE: Final = re.compile(r"\S+ \S+ \S+ \[\d+\] ([A-Z]+) ")


class Syslog:
    """One of the places where lines go (trio_pool.logs.Target). It never waits."""

    def __init__(self, ident: str, facility: str, address: str = _ADDRESS) -> None:
        self._facility = logging.handlers.SysLogHandler.facility_names[facility] << 3
        self._sender = f"{ident}[{os.getpid()}]"
        self._address = address
        self._severity = logging.handlers.SysLogHandler.LOG_INFO
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Why: lines are dropped rather than the log's thread stopped, as by syslog(3) itself.
        self._sock.setblocking(False)

    def write(self, text: str) -> None:
        """One datagram for each line. Nobody is told when there is no daemon."""
        when = time.strftime("%b %e %H:%M:%S")
        for line in text.splitlines():
            found = _LINE.match(line)
            if found is not None:
                self._severity = _SEVERITIES.get(found[1], self._severity)
                line = line[found.end() :]
            words = f"<{self._facility | self._severity}>{when} {self._sender}: {line}"
            try:
                self._sock.sendto(words.encode("utf-8", "backslashreplace"), self._address)
            except OSError:
                # The daemon is away or busy: there is no other place to say so.
                continue

    def close(self) -> None:
        """No more will come."""
        self._sock.close()


def syslog_of(settings: Settings) -> Syslog | None:
    """The daemon, where `syslog = 1`."""
    if not settings.syslog:
        return None
    return Syslog(settings.syslog_ident, settings.syslog_facility.value)
