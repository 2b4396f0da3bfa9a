"""Into the background: `-d`, as PgBouncer and systemd's `Type=forking` mean it.

Whoever gave the command is answered only when it is known how the start went: with status 0 once
the pool listens, with 1 and the reason on its terminal when it could not. Only a process with one
thread may fork, so all of this comes before the log, Trio and any other thread.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_SERVING: Final = b"1"


class Background:
    """The process that is left of `detach`; its terminal is still there until `serving`."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def serving(self) -> None:
        """Let go of the terminal, and of whoever waits for the command to end."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if nothing > 2:
            os.close(nothing)
        os.write(self._pipe, _SERVING)
        os.close(self._pipe)


def detach() -> Background:
    """Go on as a process without a terminal, a child of nobody; the caller's one ends here.

    Twice a fork: the first child leads a session of its own, so that no terminal's signals reach
    it; the second is no leader, so that it can never get a terminal back (daemon(7)).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    told, tells = os.pipe()
    child = os.fork()
    if child:
        os.close(tells)
        os.waitpid(child, 0)
        os._exit(0 if os.read(told, 1) == _SERVING else 1)
    os.close(told)
    os.setsid()
    if os.fork():
        os._exit(0)
    return Background(tells)
