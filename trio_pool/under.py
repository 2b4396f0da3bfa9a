"""`trio-pool exec`: a command with a pool under it, for as long as the command runs.

The command finds the pool in its environment (DATABASE_URL and the PG variables); it gets the
signals that we get, and its exit status is ours.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import FrameType
from typing import Final

import attrs

from trio_pool.check import unreached
from trio_pool.command import explained, read_config
from trio_pool.config import ConfigError
from trio_pool.dependence import report
from trio_pool.threaded import pool_in_thread

# As shells have it: no such command, a file that is none, and 128 and the number of a signal.
_NOT_FOUND: Final = 127
_NO_COMMAND: Final = 126
_BY_SIGNAL: Final = 128

_PASSED_ON: Final = (
    *(signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
# A terminal sends these to everybody in its foreground itself.
_OF_TERMINALS: Final = (signal.SIGINT, signal.SIGQUIT)
# What would lead libpq past the pool, or ask the pool for what was meant for the server.
_MISLEADING: Final = ("PGHOSTADDR", "PGSERVICE", "PGSSLMODE", "PGCHANNELBINDING", "PGREQUIREAUTH")


def run(
    *,
    target: str,
    overrides: Iterable[str],
    adversarial: bool,
    program: Sequence[str],
    as_json: bool = False,
) -> int:
    """Run `program` under a pool for `target`; returns the exit status.

    With `adversarial` what it depended on is printed, and a status of 0 becomes 1 if anything is.
    The report goes to the standard error, for the other output is the program's own.
    """
    given = ["listen_port=0", *overrides, *(["adversarial=1"] if adversarial else [])]
    # Why: all of it comes in one report at the end.
    logging.getLogger("trio_pool.adversary").setLevel(logging.ERROR)
    try:
        config = read_config(target, given)
        failures = unreached(config)
        if failures:
            return _failed("\n  ".join(failures))
        with pool_in_thread(config) as pool:
            kept = {name: text for name, text in os.environ.items() if name not in _MISLEADING}
            status = _run(program, kept | pool.access.environment())
            found = pool.dependences()
    except (ConfigError, OSError, ValueError) as error:
        return _failed(explained(error))
    if as_json:
        listed = [{**attrs.asdict(one), "instead": one.instead} for one in found]
        print(json.dumps({"status": status, "dependences": listed}), file=sys.stderr)
        return status or int(bool(listed))
    if not found:
        return status
    print(
        f"trio-pool exec: {program[0]} depended on its sessions:\n{report(found)}", file=sys.stderr
    )
    return status or 1


def _run(program: Sequence[str], environment: Mapping[str, str]) -> int:
    """The program's exit status, as a shell would say it."""
    courier = _Courier()
    before = {number: signal.signal(number, courier.deliver) for number in _PASSED_ON}
    try:
        process = subprocess.Popen(program, env=environment)
        courier.serve(process)
        status = process.wait()
    except FileNotFoundError:
        print(f"trio-pool exec: {program[0]}: command not found", file=sys.stderr)
        return _NOT_FOUND
    except PermissionError:
        print(f"trio-pool exec: {program[0]}: cannot be executed", file=sys.stderr)
        return _NO_COMMAND
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else _BY_SIGNAL - status


class _Courier:
    """Brings signals to the program, those included that came before it was there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def serve(self, process: subprocess.Popen[bytes]) -> None:
        """From here on there is somebody to deliver to."""
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def deliver(self, number: int, frame: FrameType | None) -> None:
        """A signal has come."""
        if number in _OF_TERMINALS and _in_foreground():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_foreground() -> bool:
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _failed(reason: str) -> int:
    print(f"trio-pool exec: {reason}", file=sys.stderr)
    return 1
