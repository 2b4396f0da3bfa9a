"""What modules log through: whoever reads the log must not be able to end a client.

A program that embeds a pool, or an operator's own configuration, gives loggers handlers and
filters of its own. What one of them raises comes out of the call that logs, in the middle of a
login or of giving a backend back (the standard library keeps only what its handlers' `emit` raises
to itself). Here it is said once on the standard error stream, and the line is lost.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback


class Journal:
    """The logger of a module, by the module's name. No method raises what a handler does."""

    __slots__ = ("_log", "_complained")

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)
        self._complained = False

    def debug(self, text: str, *data: object) -> None:
        """For whoever looks for a fault."""
        self._say(logging.DEBUG, text, data)

    def info(self, text: str, *data: object) -> None:
        """Something has happened."""
        self._say(logging.INFO, text, data)

    def warning(self, text: str, *data: object) -> None:
        """Somebody should look at this."""
        self._say(logging.WARNING, text, data)

    def error(self, text: str, *data: object) -> None:
        """Something is not done that was asked for."""
        self._say(logging.ERROR, text, data)

    def critical(self, text: str, *data: object) -> None:
        """The process ends."""
        self._say(logging.CRITICAL, text, data)

    def exception(self, text: str, *data: object) -> None:
        """An error, with the traceback of what is being handled."""
        self._say(logging.ERROR, text, data, True)

    def log(self, level: int, text: str, *data: object) -> None:
        """At a level of `logging`."""
        self._say(level, text, data)

    def _say(
        self, level: int, text: str, data: tuple[object, ...], with_traceback: bool = False
    ) -> None:
        if not self._log.isEnabledFor(level):
            return
        try:
            # Why 3: records name the line that called us.
            self._log.log(level, text, *data, exc_info=with_traceback, stacklevel=3)
        except Exception:  # noqa: BLE001
            self._complain()

    def _complain(self) -> None:
        """Once: a handler that raises does so at every line."""
        if self._complained or sys.stderr is None:
            return
        self._complained = True
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"a handler of the log failed, {self._log.name} goes on without it:\n")
            traceback.print_exc()
