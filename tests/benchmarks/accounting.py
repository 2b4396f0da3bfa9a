"""What the operating system charged a process for: processor time and memory.

Processor time is that of the process with its children, living or gone. The kernel counts user
and system time apart only to the hundredth of a second, and their sum to the nanosecond; where
it tells that sum (Linux) it is the one that counts, so that a short run is exact as well.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Final

import attrs
import psutil

_CLOCK_OF_PROCESS: Final = 2  # CPUCLOCK_SCHED of include/linux/posix-timers.h
_KIB: Final = 1024


@attrs.frozen
class Usage:
    """Seconds of processor time since a process began; subtract two to get a span's.

    `user` and `system` are parts of `total` as far as the ticks of the span tell.
    """

    user_ticks: float
    system_ticks: float
    total: float

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.user_ticks + other.user_ticks,
            self.system_ticks + other.system_ticks,
            self.total + other.total,
        )

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(
            self.user_ticks - earlier.user_ticks,
            self.system_ticks - earlier.system_ticks,
            self.total - earlier.total,
        )

    @property
    def user(self) -> float:
        ticks = self.user_ticks + self.system_ticks
        return self.total * self.user_ticks / ticks if ticks else self.total / 2

    @property
    def system(self) -> float:
        return self.total - self.user


def usage(pid: int) -> Usage:
    """What the process and all its children have used so far. Raises psutil.NoSuchProcess."""
    process = psutil.Process(pid)
    used = _used_by(process)
    for child in process.children(recursive=True):
        try:
            used += _used_by(child)
        except psutil.NoSuchProcess:
            # Ended between the listing and the reading: its parent has it by the next time.
            continue
    return used


def _used_by(process: psutil.Process) -> Usage:
    """What it used itself and what its children had used when they ended."""
    times = process.cpu_times()
    user, system = float(times.user), float(times.system)
    gone_user = float(getattr(times, "children_user", 0.0))
    gone_system = float(getattr(times, "children_system", 0.0))
    own = user + system
    if sys.platform == "linux":
        # What clock_getcpuclockid(3) gives for another process.
        own = time.clock_gettime((~process.pid << 3) | _CLOCK_OF_PROCESS)
    return Usage(user + gone_user, system + gone_system, own + gone_user + gone_system)


def is_alive(pid: int) -> bool:
    """Whether it runs; a child of ours that has ended and was not waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def resident_bytes(pid: int) -> int:
    """Memory of the process that is in use now."""
    return int(psutil.Process(pid).memory_info().rss)


def peak_bytes(pid: int) -> int:
    """The most memory it ever had, or the present one where the system does not keep it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return resident_bytes(pid)
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) * _KIB if found else resident_bytes(pid)


def forget_peak(pid: int) -> bool:
    """Have `peak_bytes` start anew; False where that is not possible or not allowed."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return False
    return True
