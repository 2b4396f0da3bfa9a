"""`python -m tests.soak`: half an hour at full load, and what the pool holds before and after."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import attrs

from tests.support.console import Operated
from tests.support.program import PATIENCE_SECONDS, Program
from trio_pool.embedded import LocalServer, local_postgres

ROOT: Final = Path(__file__).resolve().parents[2]
BACKENDS: Final = 20
# Transactions of each client between its login and its end.
TRANSACTIONS: Final = 30
# What may be more at the end than after the first crowd, which fills caches.
GROWTH_BYTES_MAX: Final = 16 * 1024 * 1024


@attrs.frozen
class Held:
    """What a process holds."""

    resident_bytes: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.resident_bytes / 1024 / 1024:.1f} MiB, {self.descriptors} descriptors"


def held_by(program: Program) -> Held:
    """Read from /proc."""
    place = Path(f"/proc/{program.process.pid}")
    pages = int((place / "statm").read_text().split()[1])
    return Held(pages * resource.getpagesize(), len(os.listdir(place / "fd")))


def at_rest(program: Program) -> bool:
    """No client is left but the one that asks."""
    with program.client("pgbouncer", "operator") as console:
        rows = console.execute("SHOW LISTS").fetchall()
    lists = {str(name): int(count) for name, count in rows}
    return lists["used_clients"] <= 1 and lists["login_clients"] == 0


def crowd(program: Program, postgres: LocalServer, clients: int) -> list[str]:
    """One crowd comes, works and leaves; what went wrong."""
    words = ["127.0.0.1", program.port, postgres.user, postgres.database, clients, TRANSACTIONS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.crowd", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"PGPASSWORD": postgres.password},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    outcome = json.loads(done.stdout)
    if outcome["done"] == clients * TRANSACTIONS and not outcome["errors"]:
        return []
    return [f"{outcome['done']} transactions, {outcome['errors']} errors: {outcome['shown']}"]


def soak(program: Program, postgres: LocalServer, seconds: float, clients: int) -> list[str]:
    """Crowd after crowd; the findings."""
    deadline = time.monotonic() + seconds
    findings: list[str] = []
    crowds, first = 0, held_by(program)
    while not findings and (crowds < 2 or time.monotonic() < deadline):
        findings += crowd(program, postgres, clients)
        patience = time.monotonic() + PATIENCE_SECONDS
        while not at_rest(program):
            if time.monotonic() > patience:
                findings.append("clients are left that have gone")
                break
        crowds += 1
        now = held_by(program)
        first = now if crowds == 1 else first
        print(f"crowd {crowds}: {now}", flush=True)
    if now.descriptors > first.descriptors + BACKENDS:
        findings.append(f"descriptors grew from {first.descriptors} to {now.descriptors}")
    if now.resident_bytes > first.resident_bytes + GROWTH_BYTES_MAX:
        findings.append(f"memory grew from {first} to {now}")
    print(f"{crowds} crowds of {clients}, {crowds * clients * TRANSACTIONS} transactions")
    print(f"after the first: {first}; at the end: {now}")
    return findings


def main() -> int:
    """Run it; returns the exit status: 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--clients", type=int, default=2000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="trio-pool-soak-") as place,
        local_postgres() as postgres,
    ):
        operated = Operated(Path(place), postgres)
        operated.settings |= {
            "default_pool_size": str(BACKENDS),
            "max_client_conn": str(options.clients + 100),
            "logfile": str(Path(place) / "log"),
            # Why nothing of it: whatever is on the terminal, somebody would have to read.
            "log_connections": "0",
            "log_disconnections": "0",
        }
        with Program(operated) as program:
            findings = soak(program, postgres, options.seconds, options.clients)
    for finding in findings:
        print(f"FOUND {finding}", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
