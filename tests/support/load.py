"""pgbench at work in the background, again and again until it is told to end, and its verdict."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

ROUND_SECONDS = 2
PATIENCE_SECONDS = 60


class Load:
    """Transactions of prepared statements; `flags` are pgbench's (-C: a connection for each).

    Why in rounds: what happens under the load takes as long as it takes.
    """

    def __init__(self, url: str, folder: Path, *flags: str) -> None:
        script = folder / "load.sql"
        script.write_text("begin;\nselect 1;\nselect 2;\ncommit;\n")
        self._command = [
            *("pgbench", "-n", "-M", "prepared", "-T", str(ROUND_SECONDS)),
            *(*flags, "-f", str(script), url),
        ]
        self._enough = threading.Event()
        self._failures: list[str] = []
        self._transactions = 0
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._enough.is_set() and not self._failures:
            done = subprocess.run(
                self._command,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
            found = re.search(r"transactions actually processed: (\d+)", done.stdout)
            good = done.returncode == 0 and "failed transactions: 0 " in done.stdout
            if found is None or not good:
                self._failures.append(done.stdout + done.stderr)
                return
            self._transactions += int(found[1])

    def transactions(self) -> int:
        """End it: how many there were. Fails when one failed."""
        self._enough.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "pgbench did not end"
        assert not self._failures, self._failures[0]
        return self._transactions

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(PATIENCE_SECONDS)
