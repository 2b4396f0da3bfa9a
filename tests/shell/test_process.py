"""What is settled with the system before the first client: descriptors, account, pid file."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_pool.config import Config, Database, settings_from
from trio_pool.process import descriptors_needed, ensure_descriptors, pid_file


def config(secrets: int = 0, **settings: str | float) -> Config:
    anywhere = Database(name="*", host="h", dbname="*")
    one = Database(name="one", host="h", dbname="one", pool_size=7, user="forced")
    return Config(
        settings=settings_from(**settings),
        databases={"*": anywhere, "one": one},
        secrets={f"user{number}": "" for number in range(secrets)},
    )


def in_a_new_process(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script whose effects on its process must not be ours."""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The limits of this process, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_descriptors_are_counted_for_clients_and_for_each_users_backends() -> None:
    few = descriptors_needed(config(max_client_conn=1000, default_pool_size=10))
    many = descriptors_needed(config(secrets=3, max_client_conn=1000, default_pool_size=10))

    assert few == 1000 + 10 + 7 + 64
    assert many == 1000 + 3 * 10 + 7 + 64


def test_a_cap_on_a_databases_backends_caps_its_descriptors() -> None:
    capped = config(secrets=9, max_client_conn=1, default_pool_size=100, max_db_connections=5)

    assert descriptors_needed(capped) == 1 + 5 + 5 + 64


def test_a_soft_limit_in_the_way_is_raised(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    assert ensure_descriptors(300) is None
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300


def test_a_hard_limit_in_the_way_is_told_before_a_client_meets_it() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))\n"
        "from trio_pool.process import ensure_descriptors\n"
        "print(ensure_descriptors(5000)); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "need 5000 file descriptors and the system allows 200" in done.stdout
    assert "ulimit -n 5000" in done.stdout
    assert "(200, 200)" in done.stdout


def test_a_limit_that_suffices_is_left_alone(limits: tuple[int, int]) -> None:
    assert ensure_descriptors(10) is None
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_becomes_the_account_for_good() -> None:
    script = (
        "import os; from trio_pool.process import become; become('nobody')\n"
        "print(os.getresuid(), os.getgroups())\n"
        "try: os.setuid(0)\n"
        "except PermissionError: print('no way back')"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "no way back" in done.stdout
    assert "(0, 0, 0)" not in done.stdout


def test_a_pid_file_lives_as_long_as_the_pool(tmp_path: Path) -> None:
    path = tmp_path / "pid"

    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"

    assert not path.exists()


def test_the_pid_file_of_a_living_process_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")

    with pytest.raises(FileExistsError, match=f"process {os.getppid()}"), pid_file(str(path)):
        pass

    assert path.read_text() == f"{os.getppid()}\n"


@pytest.mark.parametrize("left", ["", "words", "999999999\n"])
def test_a_pid_file_that_nobody_holds_is_taken_over(tmp_path: Path, left: str) -> None:
    path = tmp_path / "pid"
    path.write_text(left)

    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do it otherwise")
def test_buffers_that_come_and_go_are_the_same_memory() -> None:
    script = """
import resource
from trio_pool.process import keep_buffers

def pages_cleared():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

keep_buffers()
before = pages_cleared()
for _ in range(100):
    buffers = [b"x" * 262_144 for _ in range(12)]
    del buffers
print(pages_cleared() - before)
"""
    pages_at_once = 12 * 262_144 // resource.getpagesize()
    assert int(in_a_new_process(script).stdout) < 4 * pages_at_once
