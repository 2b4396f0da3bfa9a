"""pgbench as the client: a window of its work, and what the pooler used meanwhile.

Logging in and opening backends come before the window and saying goodbye after it: pgbench logs
every transaction with the time of its end, and only those within the window count.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.benchmarks import accounting, figures
from tests.benchmarks.bench import Bench, LoadFailed
from tests.benchmarks.figures import Figures
from tests.benchmarks.poolers import Running

THREADS: Final = 2
# From the first logged transactions to the window, and what pgbench runs for besides it.
_LEAD_SECONDS: Final = 0.3
_SLACK_SECONDS: Final = 1.3
_LOGIN_SECONDS_MAX: Final = 60.0
# Limit: under valgrind everything takes fifty times as long.
_REPEAT_SECONDS_MAX: Final = 600.0
_POLL_SECONDS: Final = 0.02


@attrs.frozen(kw_only=True)
class Order:
    """What pgbench is told: how many clients, its other options, whether over TLS.

    With `churn` it logs in for every transaction, and its times leave that out: there is no
    latency to tell, and no login to wait for.
    """

    clients: int
    options: tuple[str, ...]
    tls: bool = False
    churn: bool = False


def command_for(bench: Bench, running: Running, order: Order) -> list[str]:
    """pgbench's command line, without how long."""
    way = ["-h", running.host, "-p", str(running.port), "-U", bench.server.user]
    threads = str(min(THREADS, order.clients))
    return [
        bench.program("pgbench"),
        *way,
        *("-n", "-c", str(order.clients), "-j", threads),
        *order.options,
        bench.server.database,
    ]


def run(bench: Bench, running: Running, order: Order) -> Figures:
    """The figures of one window of `bench.scale.seconds`. Raises LoadFailed."""
    with tempfile.TemporaryDirectory(prefix="log-", dir=bench.directory) as name:
        directory = Path(name)
        errors = directory / "errors"
        command = command_for(bench, running, order)
        seconds = math.ceil(bench.scale.seconds + _SLACK_SECONDS)
        command[1:1] = ["-T", str(seconds), "--log", f"--log-prefix={directory}/log"]
        with errors.open("wb") as output:
            process = subprocess.Popen(
                command, env=bench.environment(order.tls), stdout=output, stderr=output
            )
        try:
            if not order.churn:
                _wait_for_the_first(process, directory)
            begin, end, used = _window(bench, running, process)
            status = process.wait(seconds + _LOGIN_SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
        if status != 0:
            raise LoadFailed(_failure(errors))
        took = list(_between(directory, begin, end))
    if not took:
        raise LoadFailed("no transaction ended in the window")
    found = figures.work(len(took), end - begin, used)
    if not order.churn:
        found |= figures.latencies(took)
    return found | {"peak_bytes": float(accounting.peak_bytes(running.pid))}


def repeat(bench: Bench, running: Running, number: int, order: Order) -> int:
    """Have the clients run at least `number` transactions; how many that were.

    Raises LoadFailed.
    """
    each = math.ceil(number / order.clients)
    command = command_for(bench, running, order)
    command[1:1] = ["-t", str(each)]
    done = subprocess.run(
        command,
        env=bench.environment(order.tls),
        capture_output=True,
        text=True,
        check=False,
        timeout=_REPEAT_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise LoadFailed(f"pgbench: {done.stderr.strip()[-300:]}")
    return each * order.clients


def _window(
    bench: Bench, running: Running, process: subprocess.Popen[bytes]
) -> tuple[float, float, accounting.Usage]:
    """When it began and ended, by the clock on the wall as in the log, and what was used."""
    time.sleep(_LEAD_SECONDS)
    before, begin = accounting.usage(running.pid), time.time()
    time.sleep(bench.scale.seconds)
    after, end = accounting.usage(running.pid), time.time()
    if process.poll() == 0:
        raise LoadFailed("pgbench ended before the window did: the machine is too busy")
    return begin, end, after - before


def _wait_for_the_first(process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + _LOGIN_SECONDS_MAX
    while not any(path.stat().st_size for path in directory.glob("log.*")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise LoadFailed(_failure(directory / "errors"))
        time.sleep(_POLL_SECONDS)


def _between(directory: Path, begin: float, end: float) -> Iterator[float]:
    """Seconds that each transaction took that ended between the two times.

    Columns: client, number, microseconds, script, second and microsecond of the end
    (documentation of pgbench, "Per-Transaction Logging").
    """
    for path in directory.glob("log.*"):
        for line in path.read_text().splitlines():
            _, _, took, _, second, microsecond = line.split()[:6]
            if begin <= int(second) + int(microsecond) / 1e6 < end:
                yield int(took) / 1e6


def _failure(errors: Path) -> str:
    lines = [line for line in errors.read_text().splitlines() if "error" in line.lower()]
    return f"pgbench: {lines[0] if lines else errors.read_text()[-300:].strip()}"


def scripts(directory: Path, texts: Sequence[str]) -> tuple[str, ...]:
    """Options that have pgbench choose among these scripts at random."""
    options: list[str] = []
    for number, text in enumerate(texts):
        path = directory / f"script-{number}.sql"
        path.write_text(text)
        options += ["-f", str(path)]
    return tuple(options)
