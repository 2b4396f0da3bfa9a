"""The command itself, as a process of its own that serves the file of an Operated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

import psycopg
import pytest

from tests.support.console import Operated

PATIENCE_SECONDS = 60


class Program:
    """A process that listens; `flags` come before its file."""

    def __init__(
        self,
        operated: Operated,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        inherits: tuple[int, ...] = (),
    ) -> None:
        self.operated = operated
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "trio_pool", *flags, str(operated.write())],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            pass_fds=inherits,
        )
        try:
            self.port = int(self.wait_for("listening on 127.0.0.1:").rpartition(":")[2])
        except BaseException:
            self.stop()
            raise

    def wait_for(self, words: str) -> str:
        """The first line from here on with these words."""
        assert self.process.stderr is not None
        seen = []
        impatience = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        impatience.start()
        try:
            for line in self.process.stderr:
                seen.append(line)
                if words in line:
                    return line.strip()
        finally:
            impatience.cancel()
        pytest.fail(f"it ended without saying {words!r}:\n{''.join(seen)}")

    def client(self, database: str = "postgres", user: str | None = None) -> psycopg.Connection:
        """A client of this process, or of whoever shares its port, in autocommit."""
        user = user or self.operated.postgres.user
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=self.operated.secrets[user],
            dbname=database,
            autocommit=True,
        )

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; the exit status."""
        assert self.process.stderr is not None
        self.process.stderr.read()
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """Whatever it does, it is gone after this."""
        if self.process.poll() is None:
            self.send(signal.SIGKILL)
        self.end()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
