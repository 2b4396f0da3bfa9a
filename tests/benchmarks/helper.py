"""A client program in a process of its own, which says line by line how far it is."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import attrs

from tests.benchmarks.bench import Bench, LoadFailed
from tests.benchmarks.poolers import Running

_ROOT: Final = Path(__file__).parents[2]
_ERROR_CHARACTERS_MAX: Final = 400


@attrs.frozen
class Helper:
    """A started program. It bounds its own waits, so reading from it ends."""

    process: subprocess.Popen[str]
    _errors: IO[str]

    def hear(self) -> str:
        """The next line; raises LoadFailed with the program's last words when there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise LoadFailed(self._errors.read()[-_ERROR_CHARACTERS_MAX:].strip())
        return line.strip()

    def go_on(self) -> None:
        """Send it the line that it waits for."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def helper(bench: Bench, running: Running, module: str, *words: str) -> Iterator[Helper]:
    """Run a module of this package against a pooler; it is ended with the block."""
    server = bench.server
    way = [running.host, str(running.port), server.user, server.database]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.{module}", *way, *words],
            cwd=_ROOT,
            env=bench.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Helper(process, errors)
        finally:
            process.kill()
            process.communicate()
