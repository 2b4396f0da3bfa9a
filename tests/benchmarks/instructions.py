"""How many instructions a transaction takes: a figure without noise.

`perf` counts them at full speed where the processor lets it (few virtual machines do);
elsewhere the pooler runs under valgrind's callgrind, fifty times slower. A process is counted
for a few transactions and another one for many, and the difference is divided: starting, logging
in and opening backends are in both. Only user space is counted, by either.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import Final

import attrs

from tests.benchmarks.bench import Bench, LoadFailed
from tests.benchmarks.ini import Needs
from tests.benchmarks.poolers import Program
from tests.benchmarks.workloads.load import Repeat
from trio_pool.embedded.account import hand_over, server_account

EVENT: Final = "instructions:u"
# Transactions of all clients together, at least: first, and then.
_FEW: Final = 200
_MANY: Final = 4_200


def count(bench: Bench, program: Program, needs: Needs, repeat: Repeat) -> float:
    """Instructions per transaction. Raises LoadFailed."""
    counted = _by_perf if perf_works() else _by_callgrind
    few_instructions, few = counted(bench, program, needs, repeat, _FEW)
    instructions, many = counted(bench, program, needs, repeat, _MANY)
    return (instructions - few_instructions) / (many - few)


def perf_works() -> bool:
    """Whether perf can count instructions on this machine."""
    if shutil.which("perf") is None:
        return False
    command = ["perf", "stat", "-x", ",", "-e", EVENT, "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stderr.partition(",")[0].strip().isdecimal()


def _by_perf(
    bench: Bench, program: Program, needs: Needs, repeat: Repeat, number: int
) -> tuple[int, int]:
    """Instructions and transactions of one process."""
    with program.open(bench, needs) as running:
        return perf_count(running.pid, lambda: repeat(bench, running, number))


def perf_count(pid: int, act: Callable[[], int], event: str = EVENT) -> tuple[int, int]:
    """What perf counts in a process and its threads while `act` runs, and what that returns."""
    control_in, control = os.pipe()
    ack, ack_out = os.pipe()
    command = ["perf", "stat", "-x", ",", "-e", event, "-p", str(pid)]
    command += ["--delay=-1", f"--control=fd:{control_in},{ack_out}"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, pass_fds=(control_in, ack_out)
    ) as perf:
        os.close(control_in)
        os.close(ack_out)
        try:
            _tell_perf(control, ack, b"enable\n")
            done = act()
            _tell_perf(control, ack, b"disable\n")
        finally:
            perf.send_signal(signal.SIGINT)
            _, said = perf.communicate()
            os.close(control)
            os.close(ack)
    found = re.search(r"^([\d.]+),", said, re.MULTILINE)
    if found is None:
        raise LoadFailed(f"perf: {said.strip()}")
    return int(float(found[1])), done


def _tell_perf(control: int, ack: int, word: bytes) -> None:
    os.write(control, word)
    if not os.read(ack, 16).startswith(b"ack"):
        raise LoadFailed("perf went away")


def _by_callgrind(
    bench: Bench, program: Program, needs: Needs, repeat: Repeat, number: int
) -> tuple[int, int]:
    """Instructions and transactions of one process, from its start to its end."""
    if shutil.which("valgrind") is None:
        raise LoadFailed("neither perf nor valgrind can count instructions here")
    directory = bench.directory / f"callgrind-{program.name}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    if program.refuses_root:
        hand_over(directory, server_account())
    # Why the hash seed: Python's own start must cost the same both times.
    command = ["env", "PYTHONHASHSEED=0", "valgrind", "--tool=callgrind", "--trace-children=yes"]
    command += [f"--callgrind-out-file={directory}/%p", *program.command]
    slowed = attrs.evolve(program, command=tuple(command))
    with slowed.open(bench, needs) as running:
        done = repeat(bench, running, number)
    written = directory / str(running.pid)
    found = (
        re.search(r"^totals: (\d+)", written.read_text(), re.MULTILINE)
        if written.exists()
        else None
    )
    if found is None:
        raise LoadFailed("callgrind did not live to write what it counted")
    return int(found[1]), done
