"""Where log lines go and what they look like.

One line per event, in PgBouncer's shape: time, process, level, text. Everything goes to the
standard error stream, to the log file, or to both; secrets never reach a logger.

Whoever reads the log must not be able to stop the pool: a pipe that is full, or a slow disk, would
block the one loop that serves everybody. So a line is only remembered where it is written, and a
thread of its own hands lines on, as many at a time as there are. What waits is bounded; beyond
that, lines are dropped, and their number is a line as soon as one can be written again.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
import time
from typing import Final, Protocol

# PgBouncer's words for the levels; scripts that read its log look for them.
_LEVELS: Final = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "LOG",
    logging.WARNING: "WARNING",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "FATAL",
}
# Limit: what waits to be written. About 40,000 lines, some ten seconds of very many logins.
_WAITING_CHARACTERS_MAX: Final = 4_194_304
# Lines of one burst share a system call.
_BURST_SECONDS: Final = 0.05
# How long the end of the process waits for whoever reads.
_FLUSH_SECONDS_MAX: Final = 1.0


def set_up_logging(logfile: str, verbose: int, quiet: bool, besides: Target | None = None) -> None:
    """Send the log to `logfile` when it has a name, to stderr unless `quiet`, and to `besides`.

    The file is opened again when somebody has moved it away. Raises OSError.
    """
    targets: list[Target] = [] if besides is None else [besides]
    if logfile:
        targets.append(_File(logfile))
    if not quiet and sys.stderr is not None:
        targets.append(_Descriptor(sys.stderr.fileno()))
    handler = Outbox(targets) if targets else logging.NullHandler()
    handler.setFormatter(formatter())
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True
    )
    # Why: lines show none of this, and finding it out is half of what a line costs (Python's
    # logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


class Target(Protocol):
    """Where lines go. Only the outbox's thread calls it, and both calls may take long."""

    def write(self, text: str) -> None:
        """Take some lines."""

    def close(self) -> None:
        """No more will come."""


class Outbox(logging.Handler):
    """Never waits: lines are kept until its thread has handed them to every target."""

    def __init__(
        self,
        targets: list[Target],
        waiting_max: int = _WAITING_CHARACTERS_MAX,
    ) -> None:
        super().__init__()
        self._targets = targets
        self._waiting_max = waiting_max
        # Why not the handler's own lock: `logging.shutdown` holds that while it flushes.
        self._guard = threading.Lock()
        self._lines: list[str] = []
        self._waiting = 0
        self._dropped = 0
        self._closed = False
        self._filled = threading.Event()
        self._hurry = threading.Event()
        self._written = threading.Event()
        self._written.set()
        # Why a daemon: a target that never takes anything must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the line, or that there was no room for it."""
        line = self.format(record) + "\n"
        with self._guard:
            if self._waiting + len(line) > self._waiting_max:
                self._dropped += 1
                return
            self._waiting += len(line)
            self._lines.append(line)
            if len(self._lines) == 1:
                self._written.clear()
                self._filled.set()

    def flush(self) -> None:
        """Wait until everything was written, but not for long."""
        self._hurry.set()
        self._written.wait(_FLUSH_SECONDS_MAX)
        self._hurry.clear()

    def close(self) -> None:
        """Write what is left, if anybody takes it, and end the thread."""
        self.flush()
        with self._guard:
            self._closed = True
            self._filled.set()
        self._thread.join(_FLUSH_SECONDS_MAX)
        super().close()

    def _work(self) -> None:
        while True:
            self._filled.wait()
            self._hurry.wait(_BURST_SECONDS)
            with self._guard:
                lines, self._lines = self._lines, []
                dropped, self._dropped = self._dropped, 0
                self._waiting = 0
                self._filled.clear()
                closed = self._closed
            if dropped:
                lines.append(self._about_dropped(dropped))
            if lines:
                for target in self._targets:
                    target.write("".join(lines))
            with self._guard:
                if not self._lines:
                    self._written.set()
            if closed:
                break
        for target in self._targets:
            target.close()

    def _about_dropped(self, count: int) -> str:
        text = "%d log lines were dropped here: nobody took them in time"
        record = logging.LogRecord(__name__, logging.WARNING, "", 0, text, (count,), None)
        return self.format(record) + "\n"


class _Descriptor:
    """Standard error, without Python's buffer: a thread that is stuck in it would hold a lock
    that the interpreter wants when it ends.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        left = text.encode("utf-8", "backslashreplace")
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Whoever gave it to us has set it so.
                time.sleep(_BURST_SECONDS)
            except OSError:
                # Nobody is left to read it, and nobody to be told.
                return

    def close(self) -> None:
        """It is not ours."""


class _Watched(logging.handlers.WatchedFileHandler):
    """Keeps its failure to itself: the standard way is a traceback on the terminal each time."""

    failure: BaseException | None = None

    def handleError(self, record: logging.LogRecord) -> None:
        """Remember why the lines were not written."""
        self.failure = sys.exc_info()[1]


class _File:
    """The log file, which is looked for anew before each burst. What a full disk does not take is
    lost; that it does not is said once, on the terminal.
    """

    def __init__(self, path: str) -> None:
        self._handler = _Watched(path, encoding="utf-8", errors="backslashreplace")
        self._handler.terminator = ""
        self._failing = False

    def write(self, text: str) -> None:
        handler = self._handler
        handler.failure = None
        handler.emit(logging.makeLogRecord({"msg": text}))
        if handler.failure is not None and not self._failing and sys.stderr is not None:
            complaint = f"cannot write to the log file: {handler.failure}\n"
            _Descriptor(sys.stderr.fileno()).write(complaint)
        self._failing = handler.failure is not None

    def close(self) -> None:
        # What could not be written before is tried once more here.
        with contextlib.suppress(OSError):
            self._handler.close()


def formatter() -> logging.Formatter:
    """What makes a line of a record."""
    return _Lines()


def _on_one_line(text: str) -> str:
    """`text` with its control characters written out: a client may have chosen a part of it, and
    must not begin a line of its own, nor speak to the terminal.
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else repr(c)[1:-1] for c in text])


class _Lines(logging.Formatter):
    """`2026-01-31 12:00:00.123 UTC [4711] LOG text`."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._date = self._zone = ""
        self._process = os.getpid()

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own."""
        second = int(record.created)
        if second != self._second:
            self._renew(second)
        record.message = _on_one_line(record.getMessage())
        level = _LEVELS.get(record.levelno, record.levelname)
        return "".join(
            (
                f"{self._date}.{int(record.msecs):03d} {self._zone} [{self._process}] ",
                f"{level} {record.message}",
                *self._traces(record),
            )
        )

    def _traces(self, record: logging.LogRecord) -> list[str]:
        traces = []
        if record.exc_info:
            traces.append("\n" + self.formatException(record.exc_info))
        if record.stack_info:
            traces.append("\n" + self.formatStack(record.stack_info))
        return traces

    def _renew(self, second: int) -> None:
        """The local time with its zone, as PgBouncer writes it."""
        when = time.localtime(second)
        self._second = second
        self._date = time.strftime("%Y-%m-%d %H:%M:%S", when)
        self._zone = when.tm_zone
